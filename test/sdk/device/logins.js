'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { newID, registry } = require('../hub');
const {
  Identity, disconnected, echo, eventually, kinds, makeIdentity, overBoth, refusedLogin,
} = require('./clients');

const wrongKey = Buffer.alloc(32, 1).toString('base64');

overBoth('a login', (transport) => {
  for (const kind of kinds) {
    test(`a ${kind} with its connection string is accepted, and the service sees it as connected`, async (t) => {
      const identity = await makeIdentity(t, kind);
      assert.equal(await identity.connectionState(), 'Disconnected');
      const client = await identity.open(transport);
      assert.equal(await identity.connectionState(), 'Connected');
      await client.close();
      await eventually(() => identity.connectionState(), 'Disconnected');
    });

    test(`so is a ${kind} with its secondary key, or a token`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const second = identity.client(transport, identity.connectionString({ SharedAccessKey: identity.keys.secondaryKey }));
      await second.open();
      await second.close();
      await identity.clientBy(transport, identity.token(3600)).open();
      assert.equal(await identity.connectionState(), 'Connected');
    });

    test(`a ${kind} announces its model`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const client = identity.client(transport);
      await client.setOptions({ modelId: 'dtmi:com:example:Thing;1' });
      await client.open();
      assert.equal((await identity.twin()).modelId, 'dtmi:com:example:Thing;1');
    });

    test(`a ${kind} with the wrong key is refused`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const connectionString = identity.connectionString({ SharedAccessKey: wrongKey });
      await refusedLogin(identity, identity.client(transport, connectionString), /bad signature/);
      await identity.open(transport);
    });

    test(`so is a ${kind} with a token that has expired or is for another identity`, async (t) => {
      const identity = await makeIdentity(t, kind);
      await refusedLogin(identity, identity.clientBy(transport, identity.token(-1)), /expired token/);
      const other = await makeIdentity(t, kind);
      const login = {
        type: 1, // a token
        on() {},
        stop() {},
        getDeviceCredentials(done) {
          const [deviceId, moduleId] = identity.ids;
          const sharedAccessSignature = identity.token(3600, { ids: other.ids });
          done(null, { host: 'localhost', deviceId, moduleId, sharedAccessSignature });
        },
      };
      await refusedLogin(identity, identity.clientBy(transport, login), /wrong audience/);
    });

    test(`so is an unknown ${kind}`, async () => {
      const ids = { deviceId: newID(), moduleId: kind === 'module' ? 'm1' : undefined };
      const identity = new Identity({ ...ids, authentication: { symmetricKey: { primaryKey: wrongKey } } });
      await refusedLogin(identity, identity.client(transport), /device not found/);
    });

    test(`a disabled device's ${kind} is disconnected, and accepted once the device is enabled`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const [deviceId] = identity.ids;
      const out = disconnected(await identity.open(transport));
      await registry.update({ ...(await registry.get(deviceId)).responseBody, status: 'disabled' });
      await out;
      await refusedLogin(identity, identity.client(transport), /device is disabled/);
      await registry.update({ ...(await registry.get(deviceId)).responseBody, status: 'enabled' });
      await identity.open(transport);
    });

    test(`a deleted ${kind} is disconnected, and cannot reconnect`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const out = disconnected(await identity.open(transport));
      await (kind === 'module' ? registry.removeModule(...identity.ids) : registry.delete(...identity.ids));
      await out;
      await refusedLogin(identity, identity.client(transport), /not found/);
    });

    test(`of two connections of a ${kind}, the hub closes the older`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const older = await identity.open(transport);
      const out = disconnected(older);
      const newer = await identity.open(transport);
      echo(newer);
      await out;
      assert.deepEqual(await identity.call('echo', 1), { status: 200, payload: 1 });
      assert.equal(await identity.connectionState(), 'Connected');
    });
  }
});
