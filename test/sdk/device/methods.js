'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { refused } = require('../hub');
const { echo, kinds, makeIdentity, onMethod, overBoth } = require('./clients');

const payloads = {
  null: null,
  'a number': 0,
  'a text': 'blank, ü, 漢字, 🐢, "quotes", \\ and \u0000',
  'an object': { a: [1, { b: null }], '': false },
  'an array': [],
  '100 KB': { large: 'x'.repeat(100 * 1024) },
};

/** reason waits for a call to fail in IoT Hub's form, and returns number and text of the error. */
async function reason(call, name, status) {
  const err = await refused(call, name, status);
  const { errorCode, message } = JSON.parse(JSON.parse(err.responseBody).Message);
  return [errorCode, message];
}

overBoth('a method', (transport) => {
  for (const kind of kinds) {
    for (const [words, payload] of Object.entries(payloads)) {
      test(`of a ${kind} receives ${words} and returns it`, async (t) => {
        const identity = await makeIdentity(t, kind);
        echo(await identity.open(transport));
        assert.deepEqual(await identity.call('echo', payload), { status: 200, payload });
      });
    }

    test(`of a ${kind} may have no payload in the call and in the answer`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const client = await identity.open(transport);
      onMethod(client, 'none', (request, response) => {
        assert.equal(request.payload, null);
        response.send(204);
      });
      assert.deepEqual(await identity.call('none'), { status: 204, payload: null });
    });

    test(`of a ${kind} returns the status of the ${kind}`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const client = await identity.open(transport);
      onMethod(client, 'fail', (request, response) => response.send(request.payload, { error: 'busy' }));
      for (const status of [1, 400, 404, 500, 504, 99999]) {
        assert.deepEqual(await identity.call('fail', status), { status, payload: { error: 'busy' } });
      }
    });

    test(`of a ${kind} may have unusual characters in its name`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const client = await identity.open(transport);
      for (const name of ["a-._~!*()$:@,;=&", 'x'.repeat(100), '$iothub', '..', '1']) {
        echo(client, name);
        assert.deepEqual(await identity.call(name, name), { status: 200, payload: name });
      }
    });

    test(`that a ${kind} does not know times out`, async (t) => {
      const identity = await makeIdentity(t, kind);
      echo(await identity.open(transport));
      await identity.call('echo', 1);
      const begin = performance.now();
      const call = identity.call('unknown', 1, { responseTimeoutInSeconds: 5 });
      assert.deepEqual(await reason(call, 'GatewayTimeoutError', 504),
        [504101, 'Timed out waiting for the response from device.']);
      const waited = performance.now() - begin;
      assert.ok(waited >= 4990 && waited < 15_000, `waited ${waited} ms`);
      assert.deepEqual(await identity.call('echo', 2), { status: 200, payload: 2 });
    });

    test(`of a ${kind} must answer within the response timeout`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const client = await identity.open(transport);
      onMethod(client, 'slow', (request, response) => {
        setTimeout(() => response.send(200, request.payload), request.payload);
      });
      const within = identity.call('slow', 4000, { responseTimeoutInSeconds: 10 });
      const beyond = identity.call('slow', 6000, { responseTimeoutInSeconds: 5 });
      await refused(beyond, 'GatewayTimeoutError', 504);
      assert.deepEqual(await within, { status: 200, payload: 4000 });
      // The late answer has been sent by then, and must not answer another call.
      assert.deepEqual(await identity.call('slow', 2000), { status: 200, payload: 2000 });
    });

    test(`of a ${kind} gets its own answer among 20 concurrent calls`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const client = await identity.open(transport);
      const waiting = [];
      onMethod(client, 'gather', (request, response) => {
        waiting.push(() => response.send(200 + request.payload, { own: request.payload }));
        if (waiting.length === 20) waiting.reverse().forEach((send) => send());
      });
      const numbers = Array.from({ length: 20 }, (_, i) => i);
      assert.deepEqual(
        await Promise.all(numbers.map((i) => identity.call('gather', i))),
        numbers.map((i) => ({ status: 200 + i, payload: { own: i } })),
      );
    });

    test(`of a ${kind} that is offline is refused, or waits for it to connect`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const now = { connectTimeoutInSeconds: 0 };
      const offline = [404103, 'Timed out waiting for device to connect.'];
      assert.deepEqual(await reason(identity.call('echo', 1, now), 'Error', 404), offline);
      const client = await identity.open(transport);
      // Connected, but subscribed to nothing.
      assert.deepEqual(await reason(identity.call('echo', 1, now), 'Error', 404), offline);
      await client.close();

      const late = identity.call('echo', 2, { connectTimeoutInSeconds: 30 });
      const again = identity.client(transport);
      echo(again);
      await again.open();
      assert.deepEqual(await late, { status: 200, payload: 2 });
      await again.close();
      assert.deepEqual(await reason(identity.call('echo', 3, now), 'Error', 404), offline);
    });
  }
});
