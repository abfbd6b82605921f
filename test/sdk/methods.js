'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { client, makeDevice, makeModule, newID, refused } = require('./hub');

const offline = (err) => {
  const { errorCode, message } = JSON.parse(JSON.parse(err.responseBody).Message);
  assert.deepEqual([errorCode, message], [404103, 'Timed out waiting for device to connect.']);
  assert.equal(err.response.headers['iothub-errorcode'], 'DeviceNotOnline');
};

test('a call of a module that is offline fails with 404103', async (t) => {
  const { deviceId } = await makeModule(t);
  offline(await refused(client.invokeDeviceMethod(deviceId, 'm1', { methodName: 'm' }), 'Error', 404));
});

test('so does a call of a device', async (t) => {
  const { deviceId } = await makeDevice(t);
  offline(await refused(client.invokeDeviceMethod(deviceId, { methodName: 'm', payload: { a: 1 } }), 'Error', 404));
});

test('a call waits for the connect timeout', async (t) => {
  const { deviceId } = await makeModule(t);
  const begin = performance.now();
  const params = { methodName: 'm', connectTimeoutInSeconds: 1, responseTimeoutInSeconds: 5 };
  offline(await refused(client.invokeDeviceMethod(deviceId, 'm1', params), 'Error', 404));
  const waited = performance.now() - begin;
  assert.ok(waited >= 990, `only ${waited} ms`);
});

test('a call of an unknown or disabled device is not found', async (t) => {
  const { deviceId } = await makeDevice(t, { status: 'disabled' });
  for (const id of [newID(), deviceId]) {
    await refused(client.invokeDeviceMethod(id, { methodName: 'm' }), 'DeviceNotFoundError', 404);
  }
  const err = await refused(client.invokeDeviceMethod(deviceId, 'm1', { methodName: 'm' }), 'Error', 404);
  assert.equal(err.response.headers['iothub-errorcode'], 'ModuleNotFound');
});

test('timeouts, names and payloads out of bounds are refused', async (t) => {
  const { deviceId } = await makeModule(t);
  for (const params of [
    { methodName: 'm', responseTimeoutInSeconds: 4 },
    { methodName: 'm', responseTimeoutInSeconds: 301 },
    { methodName: 'm', connectTimeoutInSeconds: 301 },
    { methodName: 'x'.repeat(101) },
  ]) {
    await refused(client.invokeDeviceMethod(deviceId, 'm1', params), 'ArgumentError', 400);
  }
  const large = { methodName: 'm', payload: 'x'.repeat(128 * 1024 + 1) };
  await refused(client.invokeDeviceMethod(deviceId, 'm1', large), 'Error', 413);
});
