'use strict';

// A site: an identity, the edge module with that identity, a camera, and a remote
// endpoint outside the site.

const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { emulator, secrets } = require('../hub');
const { makeCertificate } = require('../device/certificates');
const { eventually, makeIdentity } = require('../device/clients');
const { environment, gateway, makeEdgeModule } = require('../device/edgedevice');
const { startCamera, startRemote } = require('./ends');
const { Program } = require('./program');

/** identities creates an identity of each kind, and the environment of a module with it. */
const identities = {
  async 'a module by its key'(t) {
    const identity = await makeIdentity(t, 'module');
    const file = path.join(process.env.EMULATOR_DIR, randomUUID());
    fs.writeFileSync(file, identity.connectionString());
    return [identity, { RTSPTUNNEL_CONNECTION_STRING_FILE: file }];
  },
  async 'a device by its key'(t) {
    const identity = await makeIdentity(t, 'device');
    return [identity, { RTSPTUNNEL_CONNECTION_STRING: identity.connectionString() }];
  },
  async 'a device by its certificate'(t) {
    const { thumbprint, certFile, keyFile } = makeCertificate('device');
    const x509Thumbprint = { primaryThumbprint: thumbprint, secondaryThumbprint: thumbprint };
    const identity = await makeIdentity(t, 'device', { authentication: { type: 'selfSigned', x509Thumbprint } });
    return [identity, {
      RTSPTUNNEL_CONNECTION_STRING: identity.connectionString({ SharedAccessKey: undefined, x509: 'true' }),
      RTSPTUNNEL_CERT_FILE: certFile,
      RTSPTUNNEL_KEY_FILE: keyFile,
    }];
  },
  async 'a module of IoT Edge'(t) {
    const { identity, read } = await makeEdgeModule(t);
    return [identity, environment(identity, read, { IOTEDGE_GATEWAYHOSTNAME: gateway })];
  },
};

/** hubAuthority signs the remote endpoint's certificate, too, so that one file of roots is enough. */
const hubAuthority = () => ({ certFile: emulator.lines.CA_FILE, keyFile: path.join(emulator.state, 'ca-key.pem') });

/** makeSite starts a site, which ends with test t, the module first. */
async function makeSite(t, kind, transport) {
  let program;
  t.after(async () => {
    await program?.stop();
    for (const secret of ['SharedAccessSignature ', 'canary', ...secrets]) {
      assert.ok(!program?.log.includes(secret), `the module's log has ${secret}`);
    }
  });
  const [identity, env] = await identities[kind](t);
  const remote = await startRemote(t, makeCertificate('localhost', hubAuthority(), { server: true }));
  const camera = await startCamera(t);
  program = new Program({
    RTSPTUNNEL_CA_FILE: emulator.lines.CA_FILE,
    RTSPTUNNEL_ALLOW_LOOPBACK_REMOTE: 'true', // the remote endpoint is on this machine
    RTSPTUNNEL_PROTOCOL: transport.name.toLowerCase(),
    ...env,
  });
  return { identity, camera, remote, program };
}

/** request returns a payload of tunnelOpen for the site's remote endpoint. */
const request = ({ remote }, changes = {}) => ({
  remoteEndpoint: remote.endpoint, remoteAuthorizationToken: 'canary', localPort: 554, ...changes,
});

/** desireCamera gives the site's camera the local port 554, and waits for the acknowledgement. */
async function desireCamera({ identity, camera }) {
  const front = { host: '127.0.0.1', port: camera.port, localPort: 554 };
  const version = await identity.desire({ cameras: { front } });
  const reported = async () => (await identity.twin()).properties.reported.cameras;
  await eventually(async () => (await reported())?.av, version);
  const { ac, ad, value } = await reported();
  assert.deepEqual({ ac, value }, { ac: 200, value: { front: { ...value.front, ...front } } }, ad);
}

/** openTunnel opens a tunnel and returns its two ends. */
async function openTunnel(site) {
  const ends = Promise.all([site.camera.next(), site.remote.next()]);
  assert.deepEqual(await site.identity.call('tunnelOpen', request(site)), { status: 200, payload: {} });
  const [camera, remote] = await ends;
  return { camera, remote };
}

module.exports = { desireCamera, identities, makeSite, openTunnel, request };
