'use strict';

// What the tests share: the SDK's clients of the hub under test, and devices
// that end with their test.

const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const { Client, Registry } = require('azure-iothub');

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

/** makeDevice creates a device and deletes it after test t. */
async function makeDevice(t, settings = {}) {
  const { responseBody } = await registry.create({ deviceId: newID(), ...settings });
  t.after(() => registry.delete(responseBody.deviceId).catch((err) => {
    if (err.name !== 'DeviceNotFoundError') throw err;
  }));
  return responseBody;
}

/** makeModule creates module "m1" on a new device. */
async function makeModule(t, settings = {}) {
  const { deviceId } = await makeDevice(t);
  const { responseBody } = await registry.addModule({ deviceId, moduleId: 'm1', ...settings });
  return responseBody;
}

/** refused waits for promise to fail as the SDK names it, with the hub's status. */
async function refused(promise, name, status) {
  const err = await promise.then(() => assert.fail(`no ${name}`), (e) => e);
  assert.deepEqual([err.name, err.response?.statusCode], [name, status], err.stack);
  return err;
}

module.exports = { client, makeDevice, makeModule, newID, parts, refused, registry };
