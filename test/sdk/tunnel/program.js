'use strict';

// The edge module under test, as a process that knows nothing but its environment.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');

/** How long its end by SIGTERM may take, in milliseconds: a container's grace. */
const endWithin = 10_000;

class Program {
  #text = '';

  #ending = false;

  started = performance.now();

  /** It runs from now on, with these variables alone; one that ends unasked fails the test that runs. */
  constructor(env) {
    this.child = spawn(process.env.MODULE, {
      env: { RTSPTUNNEL_METRICS_LISTEN: 'off', RuntimeLogLevel: 'verbose', ...env }, stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        this.#text += text;
      });
    }
    this.closed = once(this.child, 'close');
    this.child.on('close', (code, signal) => {
      if (!this.#ending) throw new Error(`the module ended by itself: ${code ?? signal}\n${this.#text}`);
    });
  }

  /** log is all it has written so far. */
  get log() {
    return this.#text;
  }

  /** stop ends it by SIGTERM, and fails if that is not in order and in time. */
  async stop() {
    this.#ending = true;
    const late = setTimeout(() => this.child.kill('SIGKILL'), endWithin);
    this.child.kill('SIGTERM');
    assert.deepEqual(await this.closed, [0, null], `SIGTERM ends the module with 0 within 10 s\n${this.#text}`);
    clearTimeout(late);
  }
}

module.exports = { Program };
