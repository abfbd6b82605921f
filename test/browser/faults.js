'use strict';

// Cameras, the module, the hub and the gateway are killed under a player, which says why there is
// no picture and recovers; then a slow link and an expired token.

const assert = require('node:assert/strict');
const { decoded, forget, median, phase, watched } = require('./judge');
const { play } = require('./outputs');
const { SlowLink } = require('./slowlink');

const refused = /WebSocket|Failed to load resource|ERR_CONNECTION_REFUSED/;

/** broken waits until the player says why there is no picture. */
async function broken(page, hops) {
  await page.waitForFunction((hops) => {
    const { phase, failure } = window.player.state;
    return ['reopening', 'stalled', 'failed'].includes(phase) && failure && hops.includes(failure.hop);
  }, hops, { timeout: 40_000 }).catch(async () => assert.fail(`no failure of ${hops}: ${JSON.stringify(await page.evaluate(() => window.player.state))}`));
  const { failure } = await page.evaluate(() => window.player.state);
  assert.match(failure.message, /\w+ \w+/);
  assert.match(failure.reason, /^[A-Z_]+$/);
}

/** recovers waits until the player plays 50 more pictures. */
async function recovers(page) {
  await phase(page, 'playing', 60_000);
  await decoded(page, 50);
}

async function faults(judge, site) {
  await judge.check('fault: a killed camera', async (page) => {
    await play(page, site, 'plain');
    await decoded(page, 25);
    await site.processes.plain.kill();
    await broken(page, ['camera', 'rtsp', 'media']);
    await site.startCamera('plain');
    await recovers(page);
  });

  await judge.check('fault: a killed module', async (page) => {
    await play(page, site, 'plain');
    await decoded(page, 25);
    await site.processes.module.kill();
    await broken(page, ['gateway', 'module']);
    await site.startModule();
    await recovers(page);
  });

  await judge.check('fault: a killed hub stops no picture, and a new viewer learns that it is the hub', async (page) => {
    await play(page, site, 'plain');
    await decoded(page, 25);
    await site.processes.hub.kill();
    await decoded(page, 100);
    const other = await judge.page({});
    try {
      await play(other, site, 'alaw');
      await broken(other, ['hub']);
      await site.startHub();
      await recovers(other);
    } finally {
      await other.context().close();
    }
    await decoded(page, 50);
  });

  await judge.check('fault: a killed gateway', async (page) => {
    await play(page, site, 'plain');
    await decoded(page, 25);
    await site.processes.gateway.kill();
    await broken(page, ['viewer']);
    await site.startGateway();
    await recovers(page);
  }, { expected: refused });

  await judge.check('fault: a gateway that shuts down says so', async (page) => {
    await play(page, site, 'plain');
    await decoded(page, 25);
    await site.processes.gateway.kill('SIGTERM');
    await broken(page, ['gateway', 'viewer']);
    await site.startGateway();
    await recovers(page);
  }, { expected: refused });

  await judge.check('fault: an expired token', async (page) => {
    const answer = await site.get('api/tokens', {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ camera: 'edge1/plain', seconds: 60 }),
    });
    const { token } = JSON.parse(answer);
    assert.ok(token, answer);
    await play(page, site, 'plain', { token });
    await decoded(page, 25);
    await page.evaluate(() => window.player.stop());
    await play(page, site, 'plain', { token: `${token.slice(0, -8)}AAAAAAAA` });
    const { failure, retryAt } = await phase(page, 'failed');
    assert.match(failure.reason, /^ACCESS_/);
    assert.equal(retryAt, null);
  }, { expected: refused });

  await judge.check('fault: a link that is too slow leaves pictures out, and the delay does not grow', async (page) => {
    const link = await new SlowLink().start(site.slowPort, 9443);
    await play(page, { url: `https://localhost:${site.slowPort}/`, token: site.token }, 'plain');
    await decoded(page, 25);
    link.kilobits = 700; // of 1500 that the camera sends
    try {
      await page.waitForTimeout(20_000);
      await forget(page);
      await page.waitForTimeout(10_000);
      const first = await watched(page);
      await forget(page);
      await page.waitForTimeout(10_000);
      const second = await watched(page);
      const [a, b] = [first, second].map(({ latencies }) => Math.round(median(latencies) ?? Infinity));
      assert.ok(b < 15_000 && b < a + 4000, `latency ${a} ms, 10 s later ${b} ms`);
      link.kilobits = Infinity;
      await page.waitForTimeout(12_000);
      await forget(page);
      await page.waitForTimeout(2000);
      const { latencies } = await watched(page);
      assert.ok(median(latencies) < 1500, `on a fast link again, latency ${median(latencies)} ms`);
      await decoded(page, 50);
    } finally {
      link.stop();
    }
  });
}

module.exports = { faults };
