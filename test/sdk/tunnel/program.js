'use strict';

// The edge module under test, as a process that has nothing but its environment.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');

/** Timeout for the end by SIGTERM, in milliseconds: the grace period of a container. */
const endWithin = 10_000;

class Program {
  #text = '';

  #ending = false;

  started = performance.now();

  /** The constructor starts the module with these variables only. If it ends before stop, the running test fails. */
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
      if (!this.#ending) throw new Error(`the module ended unexpectedly: ${code ?? signal}\n${this.#text}`);
    });
  }

  /** log is all that the module has written so far. */
  get log() {
    return this.#text;
  }

  /** stop ends the module by SIGTERM, and fails unless it exits with 0 in time. */
  async stop() {
    this.#ending = true;
    const late = setTimeout(() => this.child.kill('SIGKILL'), endWithin);
    this.child.kill('SIGTERM');
    assert.deepEqual(await this.closed, [0, null], `SIGTERM ends the module with exit code 0 within 10 s\n${this.#text}`);
    clearTimeout(late);
  }
}

module.exports = { Program };
