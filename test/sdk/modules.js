'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { makeDevice, makeModule, newID, refused, registry } = require('./hub');

test('a module is created with all its members and two keys', async (t) => {
  const module = await makeModule(t, { managedBy: 'operator' });
  assert.equal(module.moduleId, 'm1');
  assert.equal(module.managedBy, 'operator');
  assert.equal(module.connectionState, 'Disconnected');
  assert.match(module.generationId, /^\d+$/);
  assert.match(module.etag, /^[^"]+$/);
  const { primaryKey, secondaryKey } = module.authentication.symmetricKey;
  assert.equal(Buffer.from(primaryKey, 'base64').length, 32);
  assert.equal(Buffer.from(secondaryKey, 'base64').length, 32);
  assert.notEqual(primaryKey, secondaryKey);
  assert.deepEqual((await registry.getModule(module.deviceId, 'm1')).responseBody, module);
});

test('a module with a used name, or of an unknown device, is refused', async (t) => {
  const { deviceId } = await makeModule(t);
  const err = await refused(registry.addModule({ deviceId, moduleId: 'm1' }), 'DeviceAlreadyExistsError', 409);
  assert.equal(err.response.headers['iothub-errorcode'], 'ModuleAlreadyExistsOnDevice');
  await refused(registry.addModule({ deviceId: newID(), moduleId: 'm1' }), 'DeviceNotFoundError', 404);
});

test('a device lists its own modules only', async (t) => {
  const { deviceId } = await makeModule(t);
  await makeModule(t);
  await registry.addModule({ deviceId, moduleId: 'm2' });
  const { responseBody } = await registry.getModulesOnDevice(deviceId);
  assert.deepEqual(responseBody.map((m) => [m.deviceId, m.moduleId]), [[deviceId, 'm1'], [deviceId, 'm2']]);
  const lonely = await makeDevice(t);
  assert.deepEqual((await registry.getModulesOnDevice(lonely.deviceId)).responseBody, []);
});

test('an update needs the current etag, or force', async (t) => {
  const module = await makeModule(t);
  const updated = (await registry.updateModule({ ...module, managedBy: 'a' })).responseBody;
  assert.equal(updated.managedBy, 'a');
  assert.notEqual(updated.etag, module.etag);
  assert.deepEqual(updated.authentication, module.authentication);
  await refused(registry.updateModule({ ...module, managedBy: 'b' }), 'InvalidEtagError', 412);
  assert.equal((await registry.updateModule({ ...module, managedBy: 'c' }, true)).responseBody.managedBy, 'c');
});

test('removing a module that was read needs the current etag', async (t) => {
  const module = await makeModule(t);
  const { responseBody } = await registry.updateModule({ ...module, managedBy: 'a' });
  // The SDK offers this form of the call with a callback only.
  const remove = (read) => new Promise((resolve, reject) => {
    registry.removeModule(read, (err) => (err ? reject(err) : resolve()));
  });
  await refused(remove(module), 'InvalidEtagError', 412);
  await remove(responseBody);
  await refused(registry.getModule(module.deviceId, 'm1'), 'Error', 404);
});

test('removing a module by name needs no etag', async (t) => {
  const { deviceId } = await makeModule(t);
  await registry.removeModule(deviceId, 'm1');
  const err = await refused(registry.getModule(deviceId, 'm1'), 'Error', 404);
  assert.equal(err.response.headers['iothub-errorcode'], 'ModuleNotFound');
});

test('deleting a device deletes its modules', async (t) => {
  const { deviceId } = await makeModule(t);
  await registry.delete(deviceId);
  await refused(registry.getModule(deviceId, 'm1'), 'DeviceNotFoundError', 404);
  await makeDevice(t, { deviceId });
  assert.deepEqual((await registry.getModulesOnDevice(deviceId)).responseBody, []);
});
