'use strict';

// The emulator ends under live clients and starts again. The clients reconnect by
// the SDK's retries, and the state is unchanged.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');
const { Message } = require('azure-iot-device');
const { emulator, makeDevice, refused, registry } = require('../hub');
const { Watch, echo, kinds, makeIdentity, report, telemetry, transports } = require('./clients');

const within = { timeout: 60_000 };

/** connect creates an identity with a client that is subscribed to everything. */
async function connect(t, kind, transport) {
  const identity = await makeIdentity(t, kind);
  const client = identity.client(transport);
  await client.setOptions({ modelId: 'dtmi:com:example:Thing;1' });
  await client.open();
  echo(client);
  await identity.call('echo', 0);
  const watch = await Watch.of(client);
  await identity.patch({ tags: { site: 1 }, properties: { desired: { before: true } } });
  await report(watch.twin, { before: { deep: 'ü' } });
  await watch.has(1);
  return { identity, client, watch, twin: await identity.twin() };
}

/** lasting returns the members of a twin that do not change with a connection. */
const lasting = ({ etag, deviceEtag, version, tags, properties, modelId }) => ({
  etag, deviceEtag, version, tags, properties, modelId,
});

async function same({ identity, client, watch, twin }) {
  assert.deepEqual(JSON.stringify(lasting(await identity.twin())), JSON.stringify(lasting(twin)));
  assert.deepEqual(await identity.call('echo', 'after'), { status: 200, payload: 'after' });
  const $version = await identity.desire({ after: true });
  assert.deepEqual((await watch.has(2))[1], { after: true, $version });
  await report(watch.twin, { after: true });
  await watch.twin.get();
  assert.deepEqual(watch.twin.properties.reported.before, { deep: 'ü' });
  assert.equal(watch.twin.properties.reported.$version, 3);
}

for (const [words, end] of [['SIGTERM', () => emulator.stop()], ['SIGKILL', () => emulator.kill()]]) {
  test(`after ${words} and a new start, clients reconnect and no state is lost`, within, async (t) => {
    const pairs = kinds.flatMap((kind) => transports.map(([, transport]) => [kind, transport]));
    const all = await Promise.all(pairs.map(([kind, transport]) => connect(t, kind, transport)));
    const { lines } = emulator;
    await end();
    const sent = all.map(({ client }) => client.sendEvent(new Message('sent while it was away')));
    assert.deepEqual(await emulator.start(), lines);
    await Promise.all(sent);
    await Promise.all(all.map(same));
    for (const { identity } of all) {
      assert.deepEqual((await telemetry(identity)).map(({ body }) => body.toString()), ['sent while it was away']);
    }
  });
}

test('changes that were answered before SIGKILL are kept', within, async (t) => {
  const identity = await makeIdentity(t, 'module');
  const twin = await (await identity.open(transports[0][1])).getTwin();
  const gone = await makeDevice(t);
  const answered = { desired: -1, reported: -1 };
  let alive = true;
  const drive = async (section, set) => {
    for (let n = 0; alive; n += 1) {
      await set({ n });
      answered[section] = n;
    }
  };
  const desiring = drive('desired', (patch) => identity.desire(patch)).catch(() => {});
  // The SDK never settles the last of these promises.
  drive('reported', (patch) => report(twin, patch));
  while (answered.desired < 20 || answered.reported < 20) await sleep(1);
  const [disabled] = await Promise.all([makeDevice(t, { status: 'disabled' }), registry.delete(gone.deviceId)]);
  await emulator.kill();
  alive = false;
  await desiring;
  await emulator.start();

  await refused(registry.get(gone.deviceId), 'DeviceNotFoundError', 404);
  assert.deepEqual((await registry.get(disabled.deviceId)).responseBody, disabled);
  const { properties } = await identity.twin();
  for (const [section, n] of Object.entries(answered)) {
    // One more change may be kept, whose answer was lost.
    assert.ok([n, n + 1].includes(properties[section].n), `${section}: ${properties[section].n} after ${n}`);
    assert.equal(properties[section].$version, properties[section].n + 2);
  }
});
