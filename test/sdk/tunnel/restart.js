'use strict';

// The hub is killed and comes back. The edge module answers again, and the open tunnel is
// not affected.

const assert = require('node:assert/strict');
const { randomBytes } = require('node:crypto');
const { test } = require('node:test');
const { emulator } = require('../hub');
const { transports } = require('../device/clients');
const { desireCamera, makeSite, openTunnel, request } = require('./site');

/** Timeout from the hub's return to the module's first answer, in milliseconds: five times the promised duration. */
const answersWithin = 25_000;

for (const [words, transport] of transports) {
  test(`the edge module answers again after the hub was killed, over ${words}`, { timeout: 120_000 }, async (t) => {
    t.after(() => emulator.serving || emulator.start());
    const site = await makeSite(t, 'a module by its key', transport);
    await desireCamera(site);
    const { camera, remote } = await openTunnel(site);
    const bothWays = async () => {
      camera.send(randomBytes(1000));
      remote.send(randomBytes(1000));
      await Promise.all([camera.got(remote), remote.got(camera)]);
    };
    remote.send('PLAY rtsp://front/ RTSP/1.0\r\nCSeq: 1\r\n\r\n');
    await camera.got(remote);
    await bothWays();
    await emulator.kill();
    await bothWays();
    await emulator.start();
    const begin = performance.now();
    const { status } = await site.identity.call('tunnelOpen', request(site, { localPort: 555 }), { connectTimeoutInSeconds: 40 });
    const took = performance.now() - begin;
    t.diagnostic(`from the hub's return to the first answer: ${Math.round(took)} ms (${transport.name})`);
    assert.equal(status, 400);
    assert.ok(took < answersWithin, `it took ${took} ms`);
    await bothWays();
  });
}
