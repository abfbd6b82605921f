'use strict';

// The edge module with its defaults for a hub, called by the service SDK.

const assert = require('node:assert/strict');
const { randomBytes } = require('node:crypto');
const { after, before, test } = require('node:test');
const { deleteEdgeDevice, makeEdgeDevice } = require('../device/edgedevice');
const { overBoth } = require('../device/clients');
const { desireCamera, identities, makeSite, openTunnel, request } = require('./site');

/** Timeout from the module's start to its first answer, in milliseconds: five times the promised duration. */
const answersWithin = 25_000;

const model = 'dtmi:azure:videoanalyzer:WebSocketTunneling;1';

/** fails calls a method and checks that the answer is this error, with its code as status. */
async function fails({ identity }, method, payload, code, target, message) {
  const want = { status: code, payload: { code: `${code}`, target, message } };
  assert.deepEqual(await identity.call(method, payload), want);
}

overBoth('the edge module', (transport) => {
  before(makeEdgeDevice);
  after(deleteEdgeDevice);

  for (const kind of Object.keys(identities)) {
    test(`as ${kind}`, async (t) => {
      const site = await makeSite(t, kind, transport);
      const { identity, program, remote } = site;

      await t.test('answers soon after its start', async (t) => {
        const { status } = await identity.call('none', null, { connectTimeoutInSeconds: 40 });
        const took = performance.now() - program.started;
        t.diagnostic(`from the start to the first answer: ${Math.round(took)} ms (${kind}, ${transport.name})`);
        assert.equal(status, 404);
        assert.ok(took < answersWithin, `it took ${took} ms`);
      });

      await t.test('acknowledges its cameras, and has announced model and protocol', async () => {
        await desireCamera(site);
        const { modelId, properties: { reported } } = await identity.twin();
        assert.equal(modelId, model);
        assert.equal(reported.hub.protocol, transport.name.toLowerCase());
        assert.deepEqual([reported.state, reported.reasons], ['degraded', ['LAB_LOOPBACK']]);
      });

      await t.test('opens a tunnel that carries bytes in both directions', async () => {
        const { camera, remote: far } = await openTunnel(site);
        assert.equal(far.headers.authorization, 'Bearer canary');
        assert.equal(far.headers.tunnelconnectionsource, 'PnpDevice');
        assert.match(far.headers['user-agent'], /^rtsptunnel\//);
        far.send('OPTIONS rtsp://front/ RTSP/1.0\r\nCSeq: 1\r\n');
        far.send('\r\n');
        await camera.got(far);
        await far.got(camera);
        far.send('PLAY rtsp://front/ RTSP/1.0\r\nCSeq: 2\r\n\r\n');
        await camera.got(far);
        assert.ok(camera.sent.length > 1_000_000);
        far.send(randomBytes(1_000_000));
        await Promise.all([far.got(camera), camera.got(far)]);
        assert.equal(await far.close(), 1000);
        await camera.closed;
      });

      await t.test('answers requests that it cannot serve with errors', async () => {
        const { endpoint } = remote;
        await fails(site, 'tunnelOpen', request(site, { localPort: 555 }), 400, 'localhost:555', 'Local port is not available');
        await fails(site, 'tunnelOpen', request(site, { localPort: '554' }), 400, 'tunnelOpen', 'Invalid request: localPort');
        await fails(site, 'tunnelOpen', request(site, { remoteAuthorizationToken: 'a b' }), 400, endpoint, 'Invalid request: remoteAuthorizationToken');
        await fails(site, 'tunnelOpen', { localPort: 554 }, 400, 'tunnelOpen', 'Invalid request: remoteEndpoint');
        await fails(site, 'tunnelOpen', undefined, 400, 'tunnelOpen', 'Invalid request: payload');
        await fails(site, 'tunnelOpen', request(site, { remoteAuthorizationToken: 'wrong' }), 401, endpoint, 'Unauthorized');
        await fails(site, 'tunnelClose', request(site), 404, 'tunnelClose', 'Unknown method');
      });
    });
  }
});
