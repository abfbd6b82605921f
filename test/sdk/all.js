'use strict';

// One process, and one file after the other: some tests count devices, others
// take the emulator away. Those of one suite run side by side.

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
    assert.ok(!log.includes(secret), `it has ${secret}`);
  }
});

test('SIGTERM ends the emulator with 0', async () => {
  await emulator.stop();
  // Clients that a test has left behind would go on for minutes.
  setTimeout(() => {
    console.error('something is left open:', process.getActiveResourcesInfo());
    process.exit(1);
  }, 5000).unref();
});
