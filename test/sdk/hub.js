'use strict';

// Shared by the tests: the hub under test, the SDK's clients of it, and devices
// that are deleted with their test.

const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const { Client, Registry } = require('azure-iothub');
const { Emulator } = require('./emulator');

const emulator = new Emulator(process.env.EMULATOR, process.env.EMULATOR_DIR);

const connectionString = process.env.HUB_CONNECTION_STRING;
const registry = Registry.fromConnectionString(connectionString);
const client = Client.fromConnectionString(connectionString);

/** parts maps the names of the connection string's parts to their values. */
const parts = Object.fromEntries(connectionString.split(';').map((part) => {
  const border = part.indexOf('=');
  return [part.slice(0, border), part.slice(border + 1)];
}));

/** newID returns a name that no other test uses. */
const newID = () => `device-${randomUUID()}`;

/** secrets holds the hub's key and the keys of all devices and modules that are created here. */
const secrets = [parts.SharedAccessKey];

const remember = ({ authentication: { symmetricKey } }) => {
  secrets.push(...[symmetricKey?.primaryKey, symmetricKey?.secondaryKey].filter(Boolean));
};

/** makeDevice creates a device and deletes it after test t. */
async function makeDevice(t, settings = {}) {
  const { responseBody } = await registry.create({ deviceId: newID(), ...settings });
  remember(responseBody);
  t.after(() => registry.delete(responseBody.deviceId).catch((err) => {
    if (err.name !== 'DeviceNotFoundError') throw err;
  }));
  return responseBody;
}

/** makeModule creates module "m1" on a new device. */
async function makeModule(t, settings = {}) {
  const { deviceId } = await makeDevice(t);
  const { responseBody } = await registry.addModule({ deviceId, moduleId: 'm1', ...settings });
  remember(responseBody);
  return responseBody;
}

/** refused waits for promise to fail with that name of the SDK and that status of the hub. It returns the error. */
async function refused(promise, name, status) {
  const err = await promise.then(() => assert.fail(`no ${name}`), (e) => e);
  assert.deepEqual([err.name, err.response?.statusCode], [name, status], err.stack);
  return err;
}

module.exports = { client, emulator, makeDevice, makeModule, newID, parts, refused, registry, secrets };
