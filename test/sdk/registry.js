'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { makeDevice, newID, refused, registry } = require('./hub');

const key = Buffer.alloc(32, 7).toString('base64');
const other = Buffer.alloc(64, 8).toString('base64');

test('a device is created with all its members and two keys', async (t) => {
  const device = await makeDevice(t);
  assert.equal(device.status, 'enabled');
  assert.equal(device.connectionState, 'Disconnected');
  assert.equal(device.capabilities.iotEdge, false);
  assert.equal(device.authentication.type, 'sas');
  assert.match(device.generationId, /^\d+$/);
  assert.match(device.etag, /^[^"]+$/);
  for (const name of ['connectionStateUpdatedTime', 'statusUpdatedTime', 'lastActivityTime']) {
    assert.ok(!Number.isNaN(Date.parse(device[name])), `${name} is ${device[name]}`);
  }
  const { primaryKey, secondaryKey } = device.authentication.symmetricKey;
  assert.equal(Buffer.from(primaryKey, 'base64').length, 32);
  assert.equal(Buffer.from(secondaryKey, 'base64').length, 32);
  assert.notEqual(primaryKey, secondaryKey);
});

test('keys of the request are kept', async (t) => {
  const symmetricKey = { primaryKey: key, secondaryKey: other };
  const device = await makeDevice(t, { authentication: { symmetricKey } });
  assert.deepEqual(device.authentication.symmetricKey, symmetricKey);
});

test('a device with thumbprints has no keys', async (t) => {
  const x509Thumbprint = { primaryThumbprint: 'A'.repeat(40), secondaryThumbprint: 'B'.repeat(40) };
  const device = await makeDevice(t, { authentication: { x509Thumbprint } });
  assert.equal(device.authentication.type, 'selfSigned');
  assert.deepEqual(device.authentication.x509Thumbprint, x509Thumbprint);
  assert.deepEqual(device.authentication.symmetricKey, { primaryKey: null, secondaryKey: null });
});

test('an IoT Edge device has a scope of its own', async (t) => {
  const device = await makeDevice(t, { capabilities: { iotEdge: true } });
  assert.equal(device.capabilities.iotEdge, true);
  assert.equal(device.deviceScope, `ms-azure-iot-edge://${device.deviceId}-${device.generationId}`);
});

test('a created device is read back, with its etag as a header', async (t) => {
  const device = await makeDevice(t);
  const read = await registry.get(device.deviceId);
  assert.deepEqual(read.responseBody, device);
  assert.equal(read.httpResponse.headers.etag, `"${device.etag}"`);
});

test('a device with a used name is refused', async (t) => {
  const { deviceId } = await makeDevice(t);
  const err = await refused(registry.create({ deviceId }), 'DeviceAlreadyExistsError', 409);
  assert.equal(err.response.headers['iothub-errorcode'], 'DeviceAlreadyExists');
});

test('bad names, states and keys are refused', async () => {
  const bad = [
    { deviceId: 'a b' },
    { deviceId: 'x'.repeat(129) },
    { deviceId: newID(), status: 'asleep' },
    { deviceId: newID(), authentication: { symmetricKey: { primaryKey: 'short', secondaryKey: key } } },
  ];
  for (const device of bad) {
    await refused(registry.create(device), 'ArgumentError', 400);
  }
});

test('a name may have all characters that IoT Hub allows', async (t) => {
  const { deviceId } = await makeDevice(t, { deviceId: "a-.+%2F_#*?!(),:=@$'b" });
  const { responseBody } = await registry.get(deviceId);
  assert.equal(responseBody.deviceId, "a-.+%2F_#*?!(),:=@$'b");
});

test('an update changes status and etag, and keeps generation and keys', async (t) => {
  const device = await makeDevice(t);
  const { responseBody } = await registry.update({ ...device, status: 'disabled', statusReason: 'lost' });
  assert.equal(responseBody.status, 'disabled');
  assert.equal(responseBody.statusReason, 'lost');
  assert.notEqual(responseBody.etag, device.etag);
  assert.notEqual(responseBody.statusUpdatedTime, device.statusUpdatedTime);
  assert.equal(responseBody.generationId, device.generationId);
  assert.deepEqual(responseBody.authentication, device.authentication);
  assert.deepEqual((await registry.get(device.deviceId)).responseBody, responseBody);
});

test('an unknown device is not found', async () => {
  const deviceId = newID();
  await refused(registry.get(deviceId), 'DeviceNotFoundError', 404);
  await refused(registry.update({ deviceId }), 'DeviceNotFoundError', 404);
  await refused(registry.delete(deviceId), 'DeviceNotFoundError', 404);
  await refused(registry.getModulesOnDevice(deviceId), 'DeviceNotFoundError', 404);
});

test('a deleted device is not found, and a new one of its name has other keys', async (t) => {
  const before = await makeDevice(t);
  const { httpResponse } = await registry.delete(before.deviceId);
  assert.equal(httpResponse.statusCode, 204);
  await refused(registry.get(before.deviceId), 'DeviceNotFoundError', 404);
  const after = await makeDevice(t, { deviceId: before.deviceId });
  assert.notEqual(after.generationId, before.generationId);
  assert.notEqual(after.authentication.symmetricKey.primaryKey, before.authentication.symmetricKey.primaryKey);
});

test('the list has every device and no module', async (t) => {
  const devices = [await makeDevice(t), await makeDevice(t)];
  await registry.addModule({ deviceId: devices[0].deviceId, moduleId: 'm1' });
  const { responseBody } = await registry.list();
  assert.deepEqual(
    responseBody.map((device) => device.deviceId).sort(),
    devices.map((device) => device.deviceId).sort(),
  );
});

test('statistics count devices by status', async (t) => {
  const count = async () => (await registry.getRegistryStatistics()).responseBody;
  const before = await count();
  await makeDevice(t);
  await makeDevice(t);
  await makeDevice(t, { status: 'disabled' });
  assert.deepEqual(await count(), {
    totalDeviceCount: before.totalDeviceCount + 3,
    enabledDeviceCount: before.enabledDeviceCount + 2,
    disabledDeviceCount: before.disabledDeviceCount + 1,
  });
});
