'use strict';

// The emulator under test, as a process of its own that tests may stop, kill
// and start again: at the same ports and with the same directory, so that a
// later one takes up what an earlier one has left. It ends with this process,
// whatever happens.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { createInterface } = require('node:readline');

const flags = [
  'serve',
  '--hostname', 'localhost',
  '--gateway-hostname', 'edge.example', // .ci/sdk makes the name known
  '--https', '127.0.0.1:443', // the SDKs know no other ports
  '--mqtt', '127.0.0.1:8883',
  '--workload', '127.0.0.1:15580',
];

/** How long a start, and an end by SIGTERM, may take, in milliseconds. */
const startWithin = 30_000;
const endWithin = 10_000;

class Emulator {
  /** binary is the program; dir gets its directory and its log. */
  constructor(binary, dir) {
    this.binary = binary;
    this.state = path.join(dir, 'state');
    this.logFile = path.join(dir, 'log');
    this.child = undefined;
    this.serving = false;
    this.lines = {};
    process.on('exit', () => this.child?.kill('SIGKILL'));
  }

  /**
   * start returns the KEY='VALUE' lines, by key, once the emulator is ready;
   * they are in lines, too. One that then ends unasked fails the test that runs.
   */
  async start() {
    const log = fs.openSync(this.logFile, 'a');
    this.child = spawn(this.binary, [...flags, '--state', this.state], { stdio: ['ignore', 'pipe', log] });
    fs.closeSync(log);
    this.child.on('exit', (code, signal) => {
      if (this.serving) throw new Error(`the emulator ended by itself: ${code ?? signal}`);
    });
    const late = setTimeout(() => this.child.kill('SIGKILL'), startWithin);
    const lines = {};
    for await (const line of createInterface({ input: this.child.stdout })) {
      if (line === 'ready') {
        this.serving = true;
        break;
      }
      const [, key, value] = /^([A-Z_]+)='(.*)'$/.exec(line) ?? assert.fail(`not KEY='VALUE': ${line}`);
      lines[key] = value;
    }
    clearTimeout(late);
    assert.ok(this.serving, 'the emulator did not start');
    this.lines = lines;
    return lines;
  }

  /** stop ends the emulator by SIGTERM, and fails if that is not in order and in time. */
  async stop() {
    const late = setTimeout(() => this.child.kill('SIGKILL'), endWithin);
    const how = await this.#end('SIGTERM');
    clearTimeout(late);
    assert.deepEqual(how, [0, null], 'SIGTERM ends the emulator with 0 within 10 s');
  }

  /** kill ends the emulator as a power cut would. */
  async kill() {
    assert.deepEqual(await this.#end('SIGKILL'), [null, 'SIGKILL']);
  }

  async #end(signal) {
    this.serving = false;
    const exit = once(this.child, 'exit');
    this.child.kill(signal);
    return exit;
  }

  /** log is all it has written to standard error since the first start. */
  log() {
    return fs.readFileSync(this.logFile, 'utf8');
  }

  /** said is the log lines about an identity, "device" or "device/module". */
  said(identity) {
    return this.log().split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line))
      .filter((line) => line.identity === identity);
  }
}

module.exports = { Emulator };
