'use strict';

// Deployments to one IoT Edge device, and automatic deployments.

const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const { test } = require('node:test');
const { makeDevice, newID, refused, registry } = require('./hub');

const edge = { capabilities: { iotEdge: true } };

/** content returns a deployment with module m1 and its desired properties. */
const content = (desired) => ({
  modulesContent: {
    $edgeAgent: { 'properties.desired': { schemaVersion: '1.1', modules: { m1: { type: 'docker' } } } },
    $edgeHub: { 'properties.desired': { schemaVersion: '1.1', routes: {} } },
    m1: { 'properties.desired': desired },
  },
});

/** layer returns a layered deployment that adds a property to module m1. */
const layer = (path, value) => ({
  modulesContent: { $edgeAgent: {}, m1: { [`properties.desired.${path}`]: value } },
});

/** desired returns the desired properties of a module, without those that the hub adds. */
async function desired(deviceId, moduleId) {
  const { responseBody } = await registry.getModuleTwin(deviceId, moduleId);
  const { $version, $metadata, ...properties } = responseBody.properties.desired;
  assert.ok($version && $metadata);
  return properties;
}

/** add creates a configuration and deletes it after test t. */
async function add(t, settings) {
  const id = `c-${randomUUID()}`;
  const { responseBody } = await registry.addConfiguration({ id, priority: 1, ...settings });
  t.after(() => registry.removeConfiguration(id).catch((err) => {
    if (err.response?.statusCode !== 404) throw err;
  }));
  return responseBody;
}

test('content that is applied to one IoT Edge device creates modules and their twins', async (t) => {
  const { deviceId } = await makeDevice(t, edge);
  const { httpResponse } = await registry.applyConfigurationContentOnDevice(deviceId, content({ a: 1, b: { c: 2 } }));
  assert.equal(httpResponse.statusCode, 204);
  assert.deepEqual(await desired(deviceId, 'm1'), { a: 1, b: { c: 2 } });
  assert.deepEqual((await desired(deviceId, '$edgeAgent')).modules, { m1: { type: 'docker' } });
  const { responseBody } = await registry.getModulesOnDevice(deviceId);
  assert.deepEqual(responseBody.map((m) => m.moduleId), ['$edgeAgent', '$edgeHub', 'm1']);
  assert.equal(responseBody[2].managedBy, 'IotEdge');
  await registry.applyConfigurationContentOnDevice(deviceId, content({ b: { d: 3 } }));
  assert.deepEqual(await desired(deviceId, 'm1'), { b: { d: 3 } });
});

test('an unknown device, a device without IoT Edge and empty content are refused', async (t) => {
  const apply = (deviceId, what) => registry.applyConfigurationContentOnDevice(deviceId, what);
  await refused(apply(newID(), content({})), 'DeviceNotFoundError', 404);
  const plain = await makeDevice(t);
  await refused(apply(plain.deviceId, content({})), 'ArgumentError', 400);
  const device = await makeDevice(t, edge);
  const err = await refused(apply(device.deviceId, { modulesContent: {} }), 'ArgumentError', 400);
  assert.equal(err.response.headers['iothub-errorcode'], 'InvalidConfigurationContent');
});

test('a configuration is created, read, listed, changed by its etag and removed', async (t) => {
  const made = await add(t, { content: content({}), targetCondition: '', labels: { l: 'v' } });
  assert.equal(made.schemaVersion, '1.0');
  assert.deepEqual(made.content, content({}));
  assert.ok(!Number.isNaN(Date.parse(made.createdTimeUtc)));
  const read = await registry.getConfiguration(made.id);
  assert.deepEqual(read.responseBody, made);
  assert.equal(read.httpResponse.headers.etag, `"${made.etag}"`);
  const { responseBody: list } = await registry.getConfigurations();
  assert.deepEqual(list.filter((c) => c.id === made.id), [made]);

  const { responseBody: changed } = await registry.updateConfiguration({ ...made, priority: 7 });
  assert.equal(changed.priority, 7);
  assert.notEqual(changed.etag, made.etag);
  await refused(registry.updateConfiguration({ ...made, priority: 8 }), 'InvalidEtagError', 412);
  assert.equal((await registry.updateConfiguration({ ...made, priority: 9 }, true)).responseBody.priority, 9);

  assert.equal((await registry.removeConfiguration(made.id)).httpResponse.statusCode, 204);
  await refused(registry.getConfiguration(made.id), 'Error', 404);
  await refused(registry.removeConfiguration(made.id), 'Error', 404);
});

test('a configuration with a used id, changed content or a bad condition is refused', async (t) => {
  const made = await add(t, { content: content({}), targetCondition: '' });
  await refused(registry.addConfiguration({ id: made.id, content: content({}) }), 'DeviceAlreadyExistsError', 409);
  await refused(registry.updateConfiguration({ ...made, content: content({ a: 1 }) }), 'ArgumentError', 400);
  const bad = { id: `c-${randomUUID()}`, content: content({}), targetCondition: "status = 'enabled'" };
  await refused(registry.addConfiguration(bad), 'ArgumentError', 400);
  await refused(registry.addConfiguration({ id: 'Capital', content: content({}) }), 'ArgumentError', 400);
});

test('tags and priorities decide which base and layers configure a device', async (t) => {
  const { deviceId } = await makeDevice(t, edge);
  const site = `s-${randomUUID()}`;
  const tag = async (tags) => {
    const { responseBody: twin } = await registry.getTwin(deviceId);
    await twin.update({ tags });
  };
  await tag({ site, cameras: false });
  const targetCondition = `tags.site = '${site}'`;
  const base = await add(t, { content: content({ enabled: true, cameras: { front: { host: 'a' } } }), targetCondition });
  const cameras = await add(t, {
    priority: 2, content: layer('cameras.back', { host: 'b' }), targetCondition: `${targetCondition} AND tags.cameras = true`,
  });
  assert.deepEqual(await desired(deviceId, 'm1'), { enabled: true, cameras: { front: { host: 'a' } } });
  await tag({ cameras: true });
  assert.deepEqual(await desired(deviceId, 'm1'), { enabled: true, cameras: { front: { host: 'a' }, back: { host: 'b' } } });
  const off = await add(t, { priority: 9, content: layer('enabled', false), targetCondition });
  assert.equal((await desired(deviceId, 'm1')).enabled, false);

  const { responseBody: twin } = await registry.getModuleTwin(deviceId, '$edgeAgent');
  const status = (id) => twin.configurations[id].status;
  assert.deepEqual([base, cameras, off].map(({ id }) => status(id)), ['Applied', 'Targeted', 'Targeted']);
  const { responseBody: { systemMetrics } } = await registry.getConfiguration(base.id);
  assert.deepEqual(systemMetrics.results, {
    targetedCount: 1, appliedCount: 1, reportedSuccessfulCount: 0, reportedFailedCount: 0,
  });

  await registry.removeConfiguration(off.id);
  assert.deepEqual(await desired(deviceId, 'm1'), { enabled: true, cameras: { front: { host: 'a' }, back: { host: 'b' } } });
});

test('a configuration counts its metrics, and queries find devices by status', async (t) => {
  const { deviceId } = await makeDevice(t, edge);
  const made = await add(t, {
    content: content({}), targetCondition: `deviceId = '${deviceId}'`,
    metrics: { queries: { mine: `SELECT deviceId FROM devices.modules WHERE deviceId = '${deviceId}' AND moduleId = 'm1'` } },
  });
  const { responseBody } = await registry.getConfiguration(made.id);
  assert.deepEqual(responseBody.metrics.results, { mine: 1 });
  const query = registry.createQuery(responseBody.systemMetrics.queries.appliedCount);
  const { result } = await query.next();
  assert.deepEqual(result, [{ deviceId }]);
});
