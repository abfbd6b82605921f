'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { echo, granted, kinds, makeIdentity, overBoth } = require('./clients');

overBoth('a subscription', (transport) => {
  for (const kind of kinds) {
    test(`of a ${kind} to ${kind === 'module' ? 'its inputs' : "the cloud's messages"} is granted at QoS 1`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const client = await identity.open(transport);
      const codes = granted(client);
      const event = kind === 'module' ? 'inputMessage' : 'message';
      client.on(event, () => assert.fail('no message has been sent'));
      await client.getTwin(); // a round trip
      assert.deepEqual(codes, [1, 0]);
      client.removeAllListeners(event);
      await client.getTwin();
    });

    test(`of a ${kind} to methods and its twin is granted at QoS 0`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const client = await identity.open(transport);
      const codes = granted(client);
      echo(client);
      const twin = await client.getTwin();
      twin.on('properties.desired', () => {});
      await client.getTwin();
      assert.deepEqual(codes, [0, 0, 0]);
    });
  }
});
