'use strict';

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');
const { emulator, registry } = require('../hub');
const { makeCertificate } = require('./certificates');
const { Watch, echo, makeIdentity, overBoth, refusedLogin, report } = require('./clients');

const key = Buffer.alloc(32, 1).toString('base64');

/** hubAuthority is the CA whose certificates the hub accepts. */
const hubAuthority = { certFile: path.join(emulator.state, 'ca.pem'), keyFile: path.join(emulator.state, 'ca-key.pem') };

/** makeDevice creates a device that logs in by certificates with these thumbprints. */
const makeDevice = (t, primaryThumbprint, secondaryThumbprint = primaryThumbprint) => makeIdentity(t, 'device', {
  authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint, secondaryThumbprint } },
});

/** withCertificate returns a client that logs in by a certificate. It is not open yet. */
async function withCertificate(identity, transport, { cert, key }) {
  const client = identity.client(transport, identity.connectionString({ SharedAccessKey: undefined, x509: 'true' }));
  await client.setOptions({ cert, key });
  return client;
}

/** works opens client and checks that calls, patches and reports arrive. */
async function works(identity, client) {
  await client.open();
  assert.equal(await identity.connectionState(), 'Connected');
  echo(client);
  assert.deepEqual(await identity.call('echo', 1), { status: 200, payload: 1 });
  const watch = await Watch.of(client);
  const $version = await identity.desire({ a: 1 });
  assert.deepEqual(await watch.has(1), [{ a: 1, $version }]);
  await report(watch.twin, { b: 2 });
  assert.equal((await identity.twin()).properties.reported.b, 2);
}

overBoth('a certificate', (transport) => {
  for (const [words, name] of [['SHA-1', 'thumbprint'], ['SHA-256', 'thumbprint256']]) {
    test(`is accepted for a device with its ${words} thumbprint`, async (t) => {
      const certificate = makeCertificate('device');
      const identity = await makeDevice(t, certificate[name]);
      const { authentication } = (await registry.get(identity.name)).responseBody;
      assert.equal(authentication.type, 'selfSigned');
      assert.equal(authentication.x509Thumbprint.primaryThumbprint, certificate[name]);
      await works(identity, await withCertificate(identity, transport, certificate));
    });
  }

  test('may be the second of two', async (t) => {
    const [first, second] = [makeCertificate('first'), makeCertificate('second')];
    const identity = await makeDevice(t, first.thumbprint, second.thumbprint.toLowerCase());
    await works(identity, await withCertificate(identity, transport, second));
  });

  test('with another thumbprint is refused, and so is a key', async (t) => {
    const [right, wrong] = [makeCertificate('device'), makeCertificate('device')];
    const identity = await makeDevice(t, right.thumbprint);
    await refusedLogin(identity, await withCertificate(identity, transport, wrong), /thumbprint matches neither/);
    await refusedLogin(identity, identity.client(transport, identity.connectionString({ SharedAccessKey: key })), /certificate expected/);
    await works(identity, await withCertificate(identity, transport, right));
  });

  test("of the hub's CA is accepted for a device with its name", async (t) => {
    const identity = await makeIdentity(t, 'device', { authentication: { type: 'certificateAuthority' } });
    await refusedLogin(identity, await withCertificate(identity, transport, makeCertificate(identity.name)), /unknown authority/);
    const another = makeCertificate('another', hubAuthority);
    await refusedLogin(identity, await withCertificate(identity, transport, another), /wrong common name/);
    await works(identity, await withCertificate(identity, transport, makeCertificate(identity.name, hubAuthority)));
  });

  test('is refused for a device with keys', async (t) => {
    const identity = await makeIdentity(t, 'device');
    await refusedLogin(identity, await withCertificate(identity, transport, makeCertificate(identity.name)), /password expected/);
    await identity.open(transport);
  });
});
