'use strict';

// The emulator under test, as a child process that tests may stop, kill and
// start again. Each start uses the same ports and the same directory, so that
// it continues with the state of the one before. It ends with this process.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { createInterface } = require('node:readline');

const flags = [
  'serve',
  '--hostname', 'localhost',
  '--gateway-hostname', 'edge.example', // .ci/sdk adds the name to the hosts file
  '--https', '127.0.0.1:443', // the SDKs use no other ports
  '--mqtt', '127.0.0.1:8883',
  '--workload', '127.0.0.1:15580',
];

/** Timeouts for a start and for an end by SIGTERM, in milliseconds. */
const startWithin = 30_000;
const endWithin = 10_000;

class Emulator {
  /** binary is the program; its state and its log are in dir. */
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
   * start waits until the emulator is ready and returns its KEY='VALUE' lines
   * by key, which are in the member lines, too. If the emulator then ends
   * before stop or kill, the running test fails.
   */
  async start() {
    const log = fs.openSync(this.logFile, 'a');
    this.child = spawn(this.binary, [...flags, '--state', this.state], { stdio: ['ignore', 'pipe', log] });
    fs.closeSync(log);
    this.child.on('exit', (code, signal) => {
      if (this.serving) throw new Error(`the emulator ended unexpectedly: ${code ?? signal}`);
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

  /** stop ends the emulator by SIGTERM, and fails unless it exits with 0 in time. */
  async stop() {
    const late = setTimeout(() => this.child.kill('SIGKILL'), endWithin);
    const how = await this.#end('SIGTERM');
    clearTimeout(late);
    assert.deepEqual(how, [0, null], 'SIGTERM ends the emulator with exit code 0 within 10 s');
  }

  /** kill ends the emulator by SIGKILL, as a power cut does. */
  async kill() {
    assert.deepEqual(await this.#end('SIGKILL'), [null, 'SIGKILL']);
  }

  async #end(signal) {
    this.serving = false;
    const exit = once(this.child, 'exit');
    this.child.kill(signal);
    return exit;
  }

  /** log returns all that the emulator has written to standard error since the first start. */
  log() {
    return fs.readFileSync(this.logFile, 'utf8');
  }

  /** linesAbout returns the log lines about an identity, "device" or "device/module". */
  linesAbout(identity) {
    return this.log().split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line))
      .filter((line) => line.identity === identity);
  }
}

module.exports = { Emulator };
