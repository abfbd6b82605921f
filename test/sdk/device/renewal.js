'use strict';

// Tokens that expire. To renew one, the SDK disconnects, reconnects and does not
// subscribe again, because it relies on the hub to keep its session.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { test } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');
const { promisify } = require('node:util');
const { SharedAccessKeyAuthenticationProvider } = require('azure-iot-device');
const { emulator } = require('../hub');
const {
  Watch, disconnected, echo, kinds, logins, makeIdentity, overBoth, reached,
} = require('./clients');

overBoth('a token', (transport) => {
  for (const kind of kinds) {
    test(`of a ${kind} is renewed again and again, and nothing is lost`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const login = SharedAccessKeyAuthenticationProvider.fromConnectionString(identity.connectionString(), 4, 2);
      const client = identity.clientBy(transport, login);
      await client.open();
      echo(client);
      const watch = await Watch.of(client);
      for (let i = 0; i < 3; i += 1) await once(login, 'newTokenAvailable');
      // One more renewal, with a longer token. The SDK queues requests until it is connected.
      await client.setOptions({ tokenRenewal: { tokenValidTimeInSeconds: 3600, tokenRenewalMarginInSeconds: 900 } });
      await watch.twin.get();
      watch.patches.length = 0;
      assert.equal(logins(identity), 5);
      await reached(identity, watch, 'renewed');
      assert.ok(!emulator.linesAbout(identity.name).some(({ message }) => /expired/.test(message)));
    });

    test(`of a ${kind} that is not renewed ends the connection`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const client = identity.clientBy(transport, identity.token(3));
      await client.open();
      const begin = performance.now();
      await disconnected(client);
      const waited = performance.now() - begin;
      assert.ok(waited > 1000 && waited < 15_000, `${waited} ms`);
      assert.notEqual(await identity.connectionState(), 'Connected');
      await assert.rejects(client.open(), { name: 'NotConnectedError', message: /Not authorized/ });
    });

    test(`of a ${kind} may be replaced by a longer one`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const client = identity.clientBy(transport, identity.token(4));
      await client.open();
      echo(client);
      const watch = await Watch.of(client);
      await promisify(client.updateSharedAccessSignature.bind(client))(identity.token(3600));
      await sleep(5000); // beyond the end of the first
      await reached(identity, watch, 'replaced');
    });
  }
});
