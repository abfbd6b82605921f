'use strict';

const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const { test } = require('node:test');
const { makeDevice, makeModule, newID, refused, registry } = require('./hub');

/** pages returns the twins that a query finds, in the SDK's pages. */
async function pages(text, size) {
  const query = registry.createQuery(text, size);
  const found = [];
  while (query.hasMoreResults) {
    found.push((await query.nextAsTwin()).result);
  }
  return found;
}

/** ids returns the names of the devices or modules that a query finds. */
const ids = async (text) => (await pages(text)).flat().map((twin) => (
  twin.moduleId ? `${twin.deviceId}/${twin.moduleId}` : twin.deviceId));

/** fleet creates n devices with a tag that no other device has; inOrder is sorted by name. */
async function fleet(t, n) {
  const mark = randomUUID();
  const devices = [];
  for (let i = 0; i < n; i += 1) {
    const { deviceId } = await makeDevice(t);
    await registry.updateTwin(deviceId, { tags: { mark, number: i } }, '*');
    devices.push(deviceId);
  }
  return { mark, devices, inOrder: [...devices].sort() };
}

test('a query finds whole twins, which can be changed', async (t) => {
  const { mark, devices } = await fleet(t, 2);
  const [[twin]] = await pages(`SELECT * FROM devices WHERE tags.mark = '${mark}' AND tags.number = 1`);
  assert.equal(twin.deviceId, devices[1]);
  assert.equal(JSON.stringify(twin), JSON.stringify((await registry.getTwin(devices[1])).responseBody));
  await twin.update({ tags: { changed: true } });
  assert.deepEqual(await ids(`SELECT * FROM devices WHERE tags.mark = '${mark}' AND tags.changed = true`), [devices[1]]);
});

test('conditions on tags, desired properties and the identity', async (t) => {
  const { mark, devices: [a, b, c] } = await fleet(t, 3);
  await registry.updateTwin(b, {
    tags: { location: { plant: "it's" } }, properties: { desired: { rate: { high: 1.5 }, on: false } },
  }, '*');
  await registry.update({ deviceId: c, status: 'disabled', capabilities: { iotEdge: true } });
  for (const [condition, want] of [
    ['tags.number = 0', [a]],
    ['tags.number >= 1 AND tags.number < 2', [b]],
    ['tags.number <> 0', [b, c]],
    ["tags.location.plant = 'it\\'s'", [b]],
    ['tags.location.plant = "it\'s"', [b]],
    ['tags.number IN [0, 2, "1"]', [a, c]],
    ['tags.number NIN [0, 2]', [b]],
    ['is_defined(tags.location)', [b]],
    ['NOT IS_DEFINED(tags.location) AND NOT tags.number = 0', [c]],
    ['properties.desired.rate.high > 1', [b]],
    ['properties.desired.on = false', [b]],
    ['properties.desired.$version = 2', [b]],
    ['properties.desired.rate = 1.5', []],
    ["status = 'disabled'", [c]],
    ['capabilities.iotEdge = true', [c]],
    ["connectionState = 'Disconnected'", [a, b, c]],
    ["connectionState = 'Connected'", []],
    ['deviceId = \'' + a + '\' OR tags.number = 2', [a, c]],
    ["STARTSWITH(devices.deviceId, 'device-')", [a, b, c]],
  ]) {
    const found = await ids(`SELECT * FROM devices WHERE tags.mark = '${mark}' AND (${condition})`);
    assert.deepEqual(found, [...want].sort(), condition);
  }
});

test('queries find either devices or modules', async (t) => {
  const { deviceId } = await makeModule(t);
  await registry.addModule({ deviceId, moduleId: 'm2' });
  await registry.updateModuleTwin(deviceId, 'm2', { tags: { mark: deviceId } }, '*');
  assert.deepEqual(
    await ids(`SELECT * FROM devices.modules WHERE deviceId = '${deviceId}'`),
    [`${deviceId}/m1`, `${deviceId}/m2`],
  );
  assert.deepEqual(await ids(`SELECT * FROM devices.modules WHERE tags.mark = '${deviceId}'`), [`${deviceId}/m2`]);
  assert.deepEqual(await ids(`SELECT * FROM devices WHERE deviceId = '${deviceId}'`), [deviceId]);
  assert.deepEqual(await ids(`SELECT * FROM devices WHERE tags.mark = '${deviceId}'`), []);
});

test('pages have every twin once, while a device is deleted', async (t) => {
  const { mark, inOrder } = await fleet(t, 7);
  const text = `SELECT * FROM devices WHERE tags.mark = '${mark}'`;
  const sizes = (await pages(text, 3)).map((page) => page.length);
  assert.deepEqual(sizes, [3, 3, 1]);
  assert.deepEqual((await pages(text, 3)).flat().map((twin) => twin.deviceId), inOrder);
  assert.deepEqual((await pages(text, 7)).map((page) => page.length), [7]);

  const query = registry.createQuery(text, 3);
  const first = (await query.nextAsTwin()).result;
  await registry.delete(first[0].deviceId);
  const rest = [];
  while (query.hasMoreResults) {
    rest.push(...(await query.nextAsTwin()).result);
  }
  assert.deepEqual([...first, ...rest].map((twin) => twin.deviceId), inOrder);
});

test('next accepts a continuation token', async (t) => {
  const { mark, inOrder } = await fleet(t, 3);
  const text = `SELECT * FROM devices WHERE tags.mark = '${mark}'`;
  const first = registry.createQuery(text, 2);
  const { message } = await first.next();
  assert.equal(message.headers['x-ms-item-type'], 'Twin');
  const token = first.continuationToken;
  const { result } = await registry.createQuery(text, 2).nextAsTwin(token);
  assert.deepEqual(result.map((twin) => twin.deviceId), [inOrder[2]]);
  await refused(registry.createQuery(text, 2).nextAsTwin('nonsense'), 'ArgumentError', 400);
});

test('a query may select members, or count', async (t) => {
  const { mark, inOrder } = await fleet(t, 3);
  const where = `FROM devices WHERE tags.mark = '${mark}'`;
  const query = registry.createQuery(`SELECT deviceId, tags.mark AS mark, tags.none ${where}`, 2);
  const rows = [];
  while (query.hasMoreResults) {
    const { result, message } = await query.next(query.continuationToken);
    assert.equal(message.headers['x-ms-item-type'], 'Raw');
    rows.push(...result);
  }
  assert.deepEqual(rows, inOrder.map((deviceId) => ({ deviceId, mark })));
  const { result } = await registry.createQuery(`SELECT COUNT() AS total ${where}`).next();
  assert.deepEqual(result, [{ total: 3 }]);
});

test('the error of an unsupported query names the token, and later queries work', async (t) => {
  const { deviceId } = await makeDevice(t);
  for (const [text, token] of [
    ['SELECT * FROM devices ORDER BY deviceId', /position 23, token ORDER: ORDER BY is not supported/],
    ['SELECT TOP 5 * FROM devices', /token TOP: TOP is not supported/],
    ['SELECT COUNT() AS n FROM devices GROUP BY status', /token GROUP: GROUP BY is not supported/],
    ['SELECT * FROM devices.jobs', /position 23, token jobs/],
    ["SELECT * FROM devices WHERE CONTAINS(deviceId, 'x')", /token CONTAINS/],
    ['SELECT * FROM devices WHERE tags.a = ', /end of the query/],
    ['SELECT * FROM devices;', /position 22/],
    ["SELECT * FROM devices WHERE tag.a = 'x'", /token tag: /],
    ['nonsense', /token nonsense/],
    [`SELECT * FROM devices WHERE ${'('.repeat(100000)}`, /longer than 8192/],
    [`SELECT * FROM devices WHERE ${'('.repeat(5000)}`, /nested deeper/],
  ]) {
    const err = await refused(pages(text), 'ArgumentError', 400);
    assert.match(err.message, token);
  }
  await refused(pages('SELECT * FROM devices', -1), 'ArgumentError', 400);
  assert.deepEqual(await ids(`SELECT * FROM devices WHERE deviceId = '${deviceId}'`), [deviceId]);
  assert.deepEqual(await ids(`SELECT * FROM devices WHERE deviceId = '${newID()}'`), []);
});
