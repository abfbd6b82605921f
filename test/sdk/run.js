'use strict';

// node run.js EMULATOR MODULE DIR: runs all.js with the emulator and the edge
// module. Logs and state are in DIR. .ci/sdk calls it in its own network namespace.
//
// The tests run in another process, because Node reads the CA certificate when
// it starts, and the emulator creates that certificate at its first start.

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
    runTests(dir, {
      HUB_CONNECTION_STRING, NODE_EXTRA_CA_CERTS: CA_FILE, EMULATOR: binary, EMULATOR_DIR: dir, MODULE: program,
    });
  } catch (err) {
    const log = emulator.log().split('\n');
    console.error(`-- the end of the emulator's log\n${log.slice(-60).join('\n')}\n-- ${err.stack}`);
    process.exitCode = 1;
  }
}

/** runTests runs the tests, and fails unless some passed and none failed, was skipped or cancelled. */
function runTests(dir, env) {
  const tap = path.join(dir, 'tap');
  const { status, signal } = spawnSync(process.execPath, [
    '--test-reporter=spec', '--test-reporter-destination=stdout',
    '--test-reporter=tap', `--test-reporter-destination=${tap}`,
    path.join(__dirname, 'all.js'),
  ], { stdio: 'inherit', env: { ...process.env, ...env }, timeout: testsWithin, killSignal: 'SIGKILL' });
  assert.deepEqual([status, signal], [0, null], 'the tests end with exit code 0');
  const report = fs.readFileSync(tap, 'utf8');
  for (const count of ['fail 0', 'cancelled 0', 'skipped 0', 'todo 0', 'pass [1-9][0-9]*']) {
    assert.match(report, new RegExp(`^# ${count}$`, 'm'));
  }
}

main(process.argv.slice(2));
