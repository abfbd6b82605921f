'use strict';

// node run.js EMULATOR MODULE DIR: runs all.js against the emulator, and with the
// edge module; logs and state end up in DIR. .ci/sdk calls it in a network namespace of its own.
//
// The tests are a process of their own: the authority's certificate must be
// there when Node starts, and it is made at the emulator's first start.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { Emulator } = require('./emulator');

const testsWithin = 300_000; // milliseconds

async function main([binary, program, dir]) {
  const emulator = new Emulator(binary, dir);
  try {
    const { CA_FILE, HUB_CONNECTION_STRING } = await emulator.start();
    await emulator.stop();
    judge(dir, {
      HUB_CONNECTION_STRING, NODE_EXTRA_CA_CERTS: CA_FILE, EMULATOR: binary, EMULATOR_DIR: dir, MODULE: program,
    });
  } catch (err) {
    const log = emulator.log().split('\n');
    console.error(`-- the emulator's log, its end\n${log.slice(-60).join('\n')}\n-- ${err.stack}`);
    process.exitCode = 1;
  }
}

/** judge runs the tests; none failed, left out or broken off, and some ran. */
function judge(dir, env) {
  const tap = path.join(dir, 'tap');
  const { status, signal } = spawnSync(process.execPath, [
    '--test-reporter=spec', '--test-reporter-destination=stdout',
    '--test-reporter=tap', `--test-reporter-destination=${tap}`,
    path.join(__dirname, 'all.js'),
  ], { stdio: 'inherit', env: { ...process.env, ...env }, timeout: testsWithin, killSignal: 'SIGKILL' });
  assert.deepEqual([status, signal], [0, null], 'the tests end with 0');
  const report = fs.readFileSync(tap, 'utf8');
  for (const count of ['fail 0', 'cancelled 0', 'skipped 0', 'todo 0', 'pass [1-9][0-9]*']) {
    assert.match(report, new RegExp(`^# ${count}$`, 'm'));
  }
}

main(process.argv.slice(2));
