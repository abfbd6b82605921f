'use strict';

// What the tests share: the hub under test, the SDK's clients of it, and
// devices that end with their test.

const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const { Client, Registry } = require('azure-iothub');
const { Emulator } = require('./emulator');

const emulator = new Emulator(process.env.EMULATOR, process.env.EMULATOR_DIR);

const connectionString = process.env.HUB_CONNECTION_STRING;
const registry = Registry.fromConnectionString(connectionString);
const client = Client.fromConnectionString(connectionString);

/** parts of the connection string, by name. */
const parts = Object.fromEntries(connectionString.split(';').map((part) => {
  const border = part.indexOf('=');
  return [part.slice(0, border), part.slice(border + 1)];
}));

/** newID is a name no other test has. */
const newID = () => `device-${randomUUID()}`;

/** secrets is the keys of all devices and modules made here. */
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

/** refused waits for promise to fail as the SDK names it, with the hub's status. */
async function refused(promise, name, status) {
  const err = await promise.then(() => assert.fail(`no ${name}`), (e) => e);
  assert.deepEqual([err.name, err.response?.statusCode], [name, status], err.stack);
  return err;
}

module.exports = { client, emulator, makeDevice, makeModule, newID, parts, refused, registry, secrets };
