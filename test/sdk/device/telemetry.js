'use strict';

const assert = require('node:assert/strict');
const { randomBytes } = require('node:crypto');
const { test } = require('node:test');
const { Message } = require('azure-iot-device');
const { kinds, makeIdentity, overBoth, telemetry } = require('./clients');

const odd = {
  'blank name': 'blank value',
  'ü, 漢字, 🐢': '漢字 🐢 ü',
  'a=b&c': "+ / # ? % ; ' & = $",
  plus: '+',
  empty: '',
};

overBoth('telemetry', (transport) => {
  for (const kind of kinds) {
    test(`of a ${kind} arrives with its properties, as sent`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const client = await identity.open(transport);
      const message = new Message(JSON.stringify({ text: 'ü 漢字 🐢' }));
      for (const [name, value] of Object.entries(odd)) message.properties.add(name, value);
      await client.sendEvent(message);
      const [{ properties, body }, ...more] = await telemetry(identity);
      assert.deepEqual(more, []);
      assert.deepEqual(properties, odd);
      assert.deepEqual(JSON.parse(body.toString()), { text: 'ü 漢字 🐢' });
    });

    test(`of a ${kind} has system properties under IoT Hub's names`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const client = await identity.open(transport);
      const message = new Message('{}');
      message.messageId = 'id 1';
      message.correlationId = 'a/b';
      message.userId = 'ü';
      message.contentType = 'application/json';
      message.contentEncoding = 'utf-8';
      message.properties.add('own', '1');
      await client.sendEvent(message);
      assert.deepEqual((await telemetry(identity))[0].properties, {
        '$.mid': 'id 1', '$.cid': 'a/b', '$.uid': 'ü', '$.ct': 'application/json', '$.ce': 'utf-8', own: '1',
      });
    });

    test(`of a ${kind} may be any bytes, none, or many`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const client = await identity.open(transport);
      const bodies = [randomBytes(1000), Buffer.alloc(0), randomBytes(200 * 1024), Buffer.from([0xff])];
      for (const body of bodies) await client.sendEvent(new Message(body));
      const got = await telemetry(identity);
      assert.deepEqual(got.map(({ body }) => body.toString('hex')), bodies.map((body) => body.toString('hex')));
      assert.deepEqual(got.map(({ properties }) => properties), [{}, {}, {}, {}]);
    });

    test(`of a ${kind} is kept in order`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const client = await identity.open(transport);
      const texts = Array.from({ length: 50 }, (_, i) => `message ${i}`);
      await Promise.all(texts.map((text) => client.sendEvent(new Message(text))));
      assert.deepEqual((await telemetry(identity)).map(({ body }) => body.toString()), texts);
    });
  }

  test('of a module names its output', async (t) => {
    const identity = await makeIdentity(t, 'module');
    const client = await identity.open(transport);
    const message = new Message('alarm');
    message.properties.add('level', 'high / low');
    await client.sendOutputEvent('out 1', message);
    await client.sendOutputEvent('plain', new Message('x'));
    const got = await telemetry(identity);
    assert.deepEqual(got.map(({ properties }) => properties), [{ '$.on': 'out 1', level: 'high / low' }, { '$.on': 'plain' }]);
    assert.deepEqual(got.map(({ body }) => body.toString()), ['alarm', 'x']);
  });
});
