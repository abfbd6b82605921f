'use strict';

// Faults on demand, as the SDKs see them, and the recovery from them.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { test } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');
const { emulator, refused, registry } = require('../hub');
const {
  Watch, demand, echo, eventually, fault, granted, kinds, logins, makeIdentity, overBoth, reached, refusedLogin, report,
} = require('./clients');

/** connect creates an identity with a client that is subscribed to everything. */
async function connect(t, kind, transport) {
  const identity = await makeIdentity(t, kind);
  const client = await identity.open(transport);
  echo(client);
  const watch = await Watch.of(client);
  await identity.call('echo', 0);
  return { identity, client, watch };
}

const brief = { responseTimeoutInSeconds: 5 };

overBoth('a fault', (transport) => {
  for (const kind of kinds) {
    test(`a ${kind} that is disconnected reconnects, and receives everything again`, async (t) => {
      const { identity, client, watch } = await connect(t, kind, transport);
      for (const mark of ['once', 'twice']) {
        const back = once(client, 'connect');
        await demand('POST', `drop/${identity.path}`);
        await back;
        await reached(identity, watch, mark);
      }
      assert.equal(logins(identity), 3);
    });

    test(`a ${kind} whose logins are refused reconnects once they are accepted`, async (t) => {
      const { identity, client, watch } = await connect(t, kind, transport);
      await fault(identity, { logins: { refuse: true } });
      const back = once(client, 'connect');
      await demand('POST', `drop/${identity.path}`);
      await eventually(() => emulator.linesAbout(identity.name).at(-1).message, 'login refused');
      assert.equal(await identity.connectionState(), 'Disconnected');
      const other = await makeIdentity(t, kind);
      await other.open(transport);
      await fault(identity, {});
      await back;
      await reached(identity, watch, 'back');
    });

    test(`a first login of a ${kind} can be refused`, async (t) => {
      const identity = await makeIdentity(t, kind);
      await fault(identity, { logins: { refuse: true } });
      await refusedLogin(identity, identity.client(transport), /./);
      await fault(identity, {});
      await identity.open(transport);
    });

    test(`a ${kind} is disconnected after some seconds, each time it connects`, async (t) => {
      const { identity, client, watch } = await connect(t, kind, transport);
      let back = once(client, 'connect');
      await fault(identity, { logins: { cutAfterSeconds: 1 } });
      await back;
      back = once(client, 'connect');
      await back;
      await fault(identity, {});
      await sleep(1500); // no more
      assert.equal(logins(identity), 3);
      await reached(identity, watch, 'at last');
    });

    for (const what of ['loseRequests', 'loseAnswers']) {
      test(`of a ${kind}'s methods, ${what} makes calls time out`, async (t) => {
        const { identity, client } = await connect(t, kind, transport);
        let calls = 0;
        (client.onDeviceMethod ?? client.onMethod).call(client, 'count', (request, response) => {
          calls += 1;
          response.send(200, calls);
        });
        await fault(identity, { methods: { [what]: true } });
        await refused(identity.call('count', null, brief), 'GatewayTimeoutError', 504);
        assert.equal(calls, what === 'loseAnswers' ? 1 : 0);
        await fault(identity, {});
        const { payload } = await identity.call('count');
        assert.equal(payload, calls);
      });
    }

    test(`twin answers of a ${kind} are held back, and then sent`, async (t) => {
      const { identity, watch } = await connect(t, kind, transport);
      await fault(identity, { twin: { hold: true } });
      let answers = 0;
      const waiting = [report(watch.twin, { a: 1 }), report(watch.twin, { b: 2 }), watch.twin.get()];
      waiting.forEach((answer) => answer.then(() => { answers += 1; }));
      assert.deepEqual(await identity.call('echo', 1), { status: 200, payload: 1 });
      await sleep(500);
      assert.equal(answers, 0);
      await fault(identity, {});
      await Promise.all(waiting);
      await reached(identity, watch, 'released');
    });

    test(`twin answers of a ${kind} are delayed`, async (t) => {
      const { identity, watch } = await connect(t, kind, transport);
      await fault(identity, { twin: { delaySeconds: 1 } });
      const begin = performance.now();
      await report(watch.twin, { a: 1 });
      assert.ok(performance.now() - begin >= 990);
    });

    for (const status of [429, 500]) {
      test(`twin requests of a ${kind} get ${status}, and change nothing`, async (t) => {
        const { identity, watch } = await connect(t, kind, transport);
        await fault(identity, { twin: { status } });
        await assert.rejects(report(watch.twin, { a: 1 }), { name: 'Error' });
        await assert.rejects(watch.twin.get(), { name: 'Error' });
        await fault(identity, {});
        await watch.twin.get();
        assert.equal(watch.twin.properties.reported.$version, 1);
      });
    }

    test(`subscriptions of a ${kind} are refused`, async (t) => {
      const identity = await makeIdentity(t, kind);
      await fault(identity, { subscriptions: { refuse: true } });
      const client = await identity.open(transport);
      const codes = granted(client);
      echo(client);
      await eventually(() => codes.length, 1);
      assert.deepEqual(codes, [0x80]);
      await refused(identity.call('echo', 1, { connectTimeoutInSeconds: 0 }), 'Error', 404);
    });
  }
});

test('the given number of service requests is throttled', async (t) => {
  t.after(() => demand('DELETE', 'faults'));
  await demand('PUT', 'faults', { rest: { throttleNext: 2, retryAfterSeconds: 7 } });
  const err = await refused(registry.list(), 'ThrottlingError', 429);
  assert.equal(err.response.headers['retry-after'], '7');
  await refused(registry.getTwin('d'), 'ThrottlingError', 429);
  await registry.list();
});
