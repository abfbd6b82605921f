'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { makeDevice, makeModule, newID, refused, registry } = require('./hub');

/** plain returns a section without the members that the hub writes. */
const plain = (section) => Object.fromEntries(Object.entries(section).filter(([name]) => !name.startsWith('$')));

const patch = async (deviceId, change, etag = '*') => (await registry.updateTwin(deviceId, change, etag)).responseBody;

test('a new device has an empty twin with the members of its identity', async (t) => {
  const device = await makeDevice(t, { capabilities: { iotEdge: true }, statusReason: 'new' });
  const { responseBody: twin, httpResponse } = await registry.getTwin(device.deviceId);
  assert.equal(httpResponse.headers.etag, `"${twin.etag}"`);
  assert.equal(twin.deviceId, device.deviceId);
  assert.equal(twin.moduleId, undefined);
  assert.equal(twin.deviceEtag, device.etag);
  assert.equal(twin.status, 'enabled');
  assert.equal(twin.statusReason, 'new');
  assert.equal(twin.connectionState, 'Disconnected');
  assert.equal(twin.authenticationType, 'sas');
  assert.equal(twin.capabilities.iotEdge, true);
  assert.equal(twin.deviceScope, device.deviceScope);
  assert.equal(typeof twin.version, 'number');
  assert.deepEqual(twin.tags, {});
  for (const section of [twin.properties.desired, twin.properties.reported]) {
    assert.equal(section.$version, 1);
    assert.ok(!Number.isNaN(Date.parse(section.$metadata.$lastUpdated)));
    assert.deepEqual(plain(section), {});
  }
});

test('tags are merged, and null deletes', async (t) => {
  const { deviceId } = await makeDevice(t);
  await patch(deviceId, { tags: { site: { hall: 1, row: 'b' }, old: true } });
  const twin = await patch(deviceId, { tags: { site: { hall: 2 }, old: null } });
  assert.deepEqual(twin.tags, { site: { hall: 2, row: 'b' } });
  assert.equal(twin.properties.desired.$version, 1);
  assert.deepEqual((await registry.getTwin(deviceId)).responseBody.tags, twin.tags);
});

test('desired properties are merged, null deletes, and versions increase', async (t) => {
  const { deviceId } = await makeDevice(t);
  await patch(deviceId, { properties: { desired: { a: { b: 1, c: [1, { d: 2 }] }, e: 'x' } } });
  const { desired } = (await patch(deviceId, { properties: { desired: { a: { b: 2 }, e: null } } })).properties;
  assert.deepEqual(plain(desired), { a: { b: 2, c: [1, { d: 2 }] } });
  assert.equal(desired.$version, 3);
  assert.equal(desired.$metadata.$lastUpdatedVersion, 3);
  assert.equal(desired.$metadata.a.b.$lastUpdatedVersion, 3);
  assert.equal(desired.$metadata.a.c.$lastUpdatedVersion, 2);
  assert.equal(desired.$metadata.e, undefined);
});

test('each change gives a new etag and a new version', async (t) => {
  const { deviceId } = await makeDevice(t);
  const twins = [
    (await registry.getTwin(deviceId)).responseBody,
    await patch(deviceId, { tags: { a: 1 } }),
    await patch(deviceId, { properties: { desired: { a: 1 } } }),
  ];
  assert.equal(new Set(twins.map((twin) => twin.etag)).size, 3);
  assert.deepEqual(twins.map((twin) => twin.version - twins[0].version), [0, 1, 2]);
});

test('a change may depend on the etag', async (t) => {
  const { deviceId } = await makeDevice(t);
  const { etag } = (await registry.getTwin(deviceId)).responseBody;
  await patch(deviceId, { tags: { a: 1 } }, etag);
  for (const stale of [etag, 'nonsense']) {
    await refused(patch(deviceId, { tags: { a: 2 } }, stale), 'InvalidEtagError', 412);
  }
  assert.deepEqual((await registry.getTwin(deviceId)).responseBody.tags, { a: 1 });
});

test("the SDK's Twin object updates by the etag that it has read", async (t) => {
  const { deviceId } = await makeDevice(t);
  const { responseBody: twin } = await registry.getTwin(deviceId);
  await twin.update({ tags: { a: 1 } });
  await twin.update({ properties: { desired: { b: 2 } } });
  assert.deepEqual(twin.tags, { a: 1 });
  assert.equal(twin.properties.desired.b, 2);
  await patch(deviceId, { tags: { c: 3 } });
  await refused(twin.update({ tags: { a: 2 } }), 'InvalidEtagError', 412);
  await twin.get();
  assert.deepEqual(twin.tags, { a: 1, c: 3 });
});

test('a module has a twin of its own', async (t) => {
  const { deviceId, etag } = await makeModule(t);
  const { responseBody: before } = await registry.getModuleTwin(deviceId, 'm1');
  assert.deepEqual([before.deviceId, before.moduleId, before.deviceEtag], [deviceId, 'm1', etag]);
  const change = { tags: { a: 1 }, properties: { desired: { b: 2 } } };
  const { responseBody: after } = await registry.updateModuleTwin(deviceId, 'm1', change, before.etag);
  assert.deepEqual(after.tags, { a: 1 });
  assert.equal(after.properties.desired.b, 2);
  await refused(registry.updateModuleTwin(deviceId, 'm1', change, before.etag), 'InvalidEtagError', 412);
  assert.deepEqual((await registry.getTwin(deviceId)).responseBody.tags, {});
});

test('twins of unknown devices and modules are not found', async (t) => {
  const { deviceId } = await makeDevice(t);
  await refused(registry.getTwin(newID()), 'DeviceNotFoundError', 404);
  await refused(patch(newID(), { tags: {} }), 'DeviceNotFoundError', 404);
  await refused(registry.getModuleTwin(deviceId, 'm1'), 'Error', 404);
  await refused(registry.getModuleTwin(newID(), 'm1'), 'DeviceNotFoundError', 404);
});

test('limits are enforced, and the error names the limit', async (t) => {
  const { deviceId } = await makeDevice(t);
  let deep = { p: 1 };
  for (let i = 0; i < 11; i += 1) deep = { o: deep };
  const large = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`k${i}`, 'x'.repeat(4096)]));
  for (const [section, text] of [
    [deep, /deeper than 10/],
    [large, /section would have \d+ bytes/],
    [{ 'a.b': 1 }, /a\.b.*must not have/],
    [{ a: 'x'.repeat(4097) }, /longer than 4096/],
    [{ a: 2 ** 52 }, /integer/],
  ]) {
    const err = await refused(patch(deviceId, { properties: { desired: section } }), 'ArgumentError', 400);
    assert.match(err.message, text);
  }
  const tags = { a: 'x'.repeat(4096), b: 'x'.repeat(4096) };
  assert.match((await refused(patch(deviceId, { tags }), 'ArgumentError', 400)).message, /section would have 8194/);
  assert.equal((await registry.getTwin(deviceId)).responseBody.properties.desired.$version, 1);
});
