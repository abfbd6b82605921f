'use strict';

// Child processes that end with this one, whose output goes to a file.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');

const running = new Set();
process.on('exit', () => { for (const { child } of running) child?.kill('SIGKILL'); });

class Process {
  /** name is of the log: standard error is added to name.log in dir, standard output to name.out. */
  constructor(dir, name, command, args, env = process.env) {
    Object.assign(this, { dir, name, command, args, env });
    this.out = path.join(dir, `${name}.out`);
    this.log = path.join(dir, `${name}.log`);
    running.add(this);
  }

  start() {
    fs.writeFileSync(this.out, '');
    const [out, log] = [fs.openSync(this.out, 'a'), fs.openSync(this.log, 'a')];
    this.child = spawn(this.command, this.args, { stdio: ['ignore', out, log], env: this.env });
    this.child.on('error', (error) => fs.appendFileSync(this.log, `${error.stack}\n`));
    fs.closeSync(out);
    fs.closeSync(log);
    return this;
  }

  /** kill ends the process as a crash does, or by another signal, and waits for its end. */
  async kill(signal = 'SIGKILL') {
    const { child } = this;
    this.child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const end = once(child, 'exit');
    child.kill(signal);
    await end;
  }

  /** output is what the newest start has written to standard output. */
  get output() {
    return fs.readFileSync(this.out, 'utf8');
  }
}

/** until repeats f each 0.1 s until its result is true, and throws after `seconds`. */
async function until(what, f, limit = 30) {
  const end = Date.now() + limit * 1000;
  for (;;) {
    const result = await f();
    if (result) return result;
    if (Date.now() > end) throw new Error(`${what}: not within ${limit} s`);
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
}

module.exports = { Process, until };
