'use strict';

// All tests run in one process, one file after the other: some tests count
// devices, and others stop the emulator. The tests of one suite run concurrently.

const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { emulator, secrets } = require('./hub');

before(async () => {
  await emulator.start();
});

require('./registry');
require('./modules');
require('./twins');
require('./query');
require('./methods');
require('./configurations');
require('./tokens');
require('./device/logins');
require('./device/twins');
require('./device/methods');
require('./device/telemetry');
require('./device/subscriptions');
require('./device/edge');
require('./device/renewal');
require('./device/x509');
require('./device/faults');
require('./device/restart');
require('./tunnel/answers');
require('./tunnel/restart');

test('the log holds neither keys nor tokens', () => {
  const log = emulator.log();
  assert.ok(log.includes('client logged in'));
  for (const secret of ['SharedAccessSignature ', 'sig=', ...secrets]) {
    assert.ok(!log.includes(secret), `the log has ${secret}`);
  }
});

test('SIGTERM ends the emulator with exit code 0', async () => {
  await emulator.stop();
  // A client that a test has not closed would retry for minutes.
  setTimeout(() => {
    console.error('resources are left open:', process.getActiveResourcesInfo());
    process.exit(1);
  }, 5000).unref();
});
