'use strict';

// Each output of the whole system, by the page's own player: decoded pictures, sound, latency.

const assert = require('node:assert/strict');
const { decoded, forget, median, phase, watch, watched } = require('./judge');

/** open shows a bare page of the gateway's origin with its assets; play starts a player there: window.player. */
async function open(page, site) {
  const shell = await (await fetch(site.url)).text();
  const [, assets] = /src="(assets\/[^/"]+\/)/.exec(shell);
  await page.route(`${site.url}judge`, (route) => route.fulfill({
    contentType: 'text/html', headers: { 'Content-Security-Policy': "default-src 'self'; media-src 'self' blob:" },
    body: `<!doctype html><html lang="en"><title>judge</title><base href="${site.url}"><link rel="icon" href="${assets}icon.svg"><video width="960" height="540"></video></html>`,
  }));
  await page.goto(`${site.url}judge`);
  page.player = `${site.url}${assets}player.js`;
}

async function play(page, site, camera, options = {}) {
  await open(page, site);
  await page.evaluate(async ([player, camera, options]) => {
    const { Player } = await import(player);
    window.player = new Player(document.querySelector('video'), { camera: `edge1/${camera}`, ...options });
  }, [page.player, camera, { token: site.token, ...options }]);
  await watch(page);
  await page.evaluate(() => window.player.start());
}

const soundBytes = (page) => page.evaluate(() => document.querySelector('video').webkitAudioDecodedByteCount);

async function outputs(judge, site) {
  await judge.check('MSE: 50 pictures without a stall, then the live edge', async (page) => {
    await play(page, site, 'plain');
    await decoded(page, 50);
    await page.waitForTimeout(2000);
    await forget(page);
    await page.waitForTimeout(2000);
    const { latencies } = await watched(page);
    assert.ok(median(latencies) < 1500, `latency ${median(latencies)} ms`);
    const { output, codec, width } = await phase(page, 'playing');
    assert.deepEqual([output, codec, width], ['mse', 'H264', 960]);
  });

  for (const [camera, codec] of [['sound', 'AAC'], ['opus', 'Opus'], ['alaw', 'PCMA']]) {
    await judge.check(`MSE: pictures and sound of ${codec}`, async (page) => {
      await play(page, site, camera, { muted: false });
      await decoded(page, 50);
      const before = await soundBytes(page);
      await page.waitForTimeout(1000);
      assert.ok(await soundBytes(page) > before, 'sound is decoded');
      assert.equal((await phase(page, 'playing')).audio, codec);
    });
  }

  await judge.check('MSE: H.265 that Chromium cannot decode is replaced by the stream sub', async (page) => {
    await play(page, site, 'h265', { streams: ['main', 'sub'] });
    await decoded(page, 50);
    assert.equal((await phase(page, 'playing')).stream, 'sub');
  });

  for (const camera of ['plain', 'sound', 'opus']) {
    await judge.check(`LL-HLS by hls.js: 50 pictures of ${camera}`, async (page) => {
      await play(page, site, camera, { output: 'hls', muted: false });
      await decoded(page, 50);
      const { output, latencyMs } = await phase(page, 'playing');
      assert.equal(output, 'hls');
      assert.ok(latencyMs < 10_000, `latency ${latencyMs} ms`);
      if (camera !== 'plain') assert.ok(await soundBytes(page) > 0, 'sound is decoded');
    });
  }

  await judge.check('still: the newest picture', async (page) => {
    await play(page, site, 'plain');
    await phase(page, 'playing');
    await page.evaluate(() => window.player.stop());
    await play(page, site, 'plain', { output: 'still' });
    const { width, height } = await phase(page, 'playing');
    assert.deepEqual([width, height], [960, 540]);
  });
}

module.exports = { outputs, open, play };
