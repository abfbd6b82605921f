'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { makeDevice, makeModule, newID, refused, registry } = require('./hub');

test('a module is created with all its members and two keys', async (t) => {
  const module = await makeModule(t, { managedBy: 'somebody' });
  assert.equal(module.moduleId, 'm1');
  assert.equal(module.managedBy, 'somebody');
  assert.equal(module.connectionState, 'Disconnected');
  assert.match(module.generationId, /^\d+$/);
  assert.match(module.etag, /^[^"]+$/);
  const { primaryKey, secondaryKey } = module.authentication.symmetricKey;
  assert.equal(Buffer.from(primaryKey, 'base64').length, 32);
  assert.equal(Buffer.from(secondaryKey, 'base64').length, 32);
  assert.notEqual(primaryKey, secondaryKey);
  assert.deepEqual((await registry.getModule(module.deviceId, 'm1')).responseBody, module);
});

test('a second module of the same name, and one of no device, are refused', async (t) => {
  const { deviceId } = await makeModule(t);
  const err = await refused(registry.addModule({ deviceId, moduleId: 'm1' }), 'DeviceAlreadyExistsError', 409);
  assert.equal(err.response.headers['iothub-errorcode'], 'ModuleAlreadyExistsOnDevice');
  await refused(registry.addModule({ deviceId: newID(), moduleId: 'm1' }), 'DeviceNotFoundError', 404);
});

test('a device lists its modules, and none of others', async (t) => {
  const { deviceId } = await makeModule(t);
  await makeModule(t);
  await registry.addModule({ deviceId, moduleId: 'm2' });
  const { responseBody } = await registry.getModulesOnDevice(deviceId);
  assert.deepEqual(responseBody.map((m) => [m.deviceId, m.moduleId]), [[deviceId, 'm1'], [deviceId, 'm2']]);
  const lonely = await makeDevice(t);
  assert.deepEqual((await registry.getModulesOnDevice(lonely.deviceId)).responseBody, []);
});

test('an update needs the etag of what it changes, or force', async (t) => {
  const module = await makeModule(t);
  const updated = (await registry.updateModule({ ...module, managedBy: 'a' })).responseBody;
  assert.equal(updated.managedBy, 'a');
  assert.notEqual(updated.etag, module.etag);
  assert.deepEqual(updated.authentication, module.authentication);
  await refused(registry.updateModule({ ...module, managedBy: 'b' }), 'InvalidEtagError', 412);
  assert.equal((await registry.updateModule({ ...module, managedBy: 'c' }, true)).responseBody.managedBy, 'c');
});

test('so does a removal by what was read', async (t) => {
  const module = await makeModule(t);
  const { responseBody } = await registry.updateModule({ ...module, managedBy: 'a' });
  // Of what was read, the SDK has this call with a callback only.
  const remove = (read) => new Promise((resolve, reject) => {
    registry.removeModule(read, (err) => (err ? reject(err) : resolve()));
  });
  await refused(remove(module), 'InvalidEtagError', 412);
  await remove(responseBody);
  await refused(registry.getModule(module.deviceId, 'm1'), 'Error', 404);
});

test('a removal by name needs none', async (t) => {
  const { deviceId } = await makeModule(t);
  await registry.removeModule(deviceId, 'm1');
  const err = await refused(registry.getModule(deviceId, 'm1'), 'Error', 404);
  assert.equal(err.response.headers['iothub-errorcode'], 'ModuleNotFound');
});

test('modules go with their device', async (t) => {
  const { deviceId } = await makeModule(t);
  await registry.delete(deviceId);
  await refused(registry.getModule(deviceId, 'm1'), 'DeviceNotFoundError', 404);
  await makeDevice(t, { deviceId });
  assert.deepEqual((await registry.getModulesOnDevice(deviceId)).responseBody, []);
});
