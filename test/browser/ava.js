'use strict';

// Video Analyzer's player with shaka-player, both unchanged from npm, on a page of another
// origin than the gateway's, as an integrator has it. It plays live by RTSP over the
// gateway's WebSocket.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { decoded } = require('./judge');
const { until } = require('./processes');

const port = 9701;
/** origin is the page's, for the gateway's access.origins. */
const origin = `http://127.0.0.1:${port}`;

const modules = path.join(__dirname, 'node_modules');
const files = {
  '/': [path.join(__dirname, 'ava.html'), 'text/html'],
  '/shaka-player.ui.js': [path.join(modules, 'shaka-player/dist/shaka-player.ui.js'), 'text/javascript'],
  '/shaka_rtsp.min.js': [path.join(modules, '@azure/video-analyzer-player/dist/shaka_rtsp.min.js'), 'text/javascript'],
};

async function serve() {
  const server = http.createServer(({ url }, answer) => {
    const [file, type] = files[url] ?? [];
    if (!file) return answer.writeHead(404).end();
    return answer.writeHead(200, { 'Content-Type': type }).end(fs.readFileSync(file));
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/**
 * ava adds the checks. site.url is the gateway's, site.token an admin's, and site.viewers returns
 * the gateway's list. edge1/plain has no sound, edge1/sound has AAC.
 */
async function ava(judge, site) {
  const server = await serve();
  const play = (page, url, token) => page.goto(`${origin}/#${encodeURIComponent(JSON.stringify({ url, token }))}`);
  const open = (page, camera, token = site.token) => play(page, new URL(`live/${camera}/rtsp`, site.url.replace(/^http/, 'ws')), token);
  const mine = async () => (await site.viewers()).filter(({ output }) => output === 'rtsp-ws');
  const gone = () => until('the viewer is gone', async () => (await mine()).length === 0);
  const seen = (page) => page.evaluate(() => window.seen);

  for (const [camera, sound] of [['edge1/plain', false], ['edge1/sound', true]]) {
    await judge.check(`Video Analyzer's player: ${camera}`, async (page) => {
      await open(page, camera);
      await decoded(page, 50);
      const [{ clock, errors }, now] = [await seen(page), Date.now()];
      assert.deepEqual(errors, []);
      const shown = clock.ntpTimestamp + 1000 * (await page.evaluate(() => document.querySelector('video').currentTime) - clock.timestamp);
      assert.ok(Math.abs(now - shown) < 10_000, `the picture's clock is ${Math.round(now - shown)} ms behind`);
      assert.equal(await page.evaluate(() => document.querySelector('video').webkitAudioDecodedByteCount > 0), sound);
      assert.deepEqual((await mine()).map((viewer) => viewer.camera), [camera]);
    });
    await gone();
  }

  await judge.check("Video Analyzer's player: the URL of a content token", async (page) => {
    const { token } = JSON.parse(await site.get('api/tokens', {
      method: 'POST', body: JSON.stringify({ camera: 'edge1/plain' }), headers: { 'Content-Type': 'application/json' },
    }));
    const { aud } = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
    await play(page, aud.find((url) => url.startsWith('wss:')), token); // wss://…/rtsp-tunnel/GUID
    await decoded(page, 50);
    assert.deepEqual((await mine()).map((viewer) => viewer.camera), ['edge1/plain']);
  });
  await gone();

  await judge.check("Video Analyzer's player: it comes back after a disconnect", async (page) => {
    await open(page, 'edge1/plain');
    await decoded(page, 10);
    const [{ id }] = await mine();
    await site.get(`api/viewers/${id}`, { method: 'DELETE' });
    await until('another viewer', async () => (await mine()).some((viewer) => viewer.id !== id));
    await decoded(page, 25);
  }, { expected: /onShakaError: code 1500/ });

  await gone();
  await judge.check("Video Analyzer's player: a wrong token", async (page) => {
    await open(page, 'edge1/plain', 'wrong');
    await page.waitForFunction(() => window.seen.errors.length > 0, null, { timeout: 20_000 });
    assert.equal((await seen(page)).errors[0].code, 1501); // no WebSocket; it also asks for an Axis camera's session
    assert.deepEqual(await mine(), []);
  }, { expected: /WebSocket|code 1501|axis-cgi|^$/ });

  server.close();
  await once(server, 'close');
}

module.exports = ava;
module.exports.origin = origin;
