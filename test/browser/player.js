'use strict';

// The player against a stand-in of the gateway, whose faults a real one has rarely.

const assert = require('node:assert/strict');
const { decoded, forget, median, phase, watch, watched } = require('./judge');

/** play opens the stand-in's page and starts a player there: window.player. */
async function play(page, fake, camera, options = {}) {
  if (!page.url().startsWith(fake.url)) await page.goto(fake.url);
  await page.evaluate(async ([camera, options]) => {
    const { Player } = await import('/player.js');
    window.player = new Player(document.querySelector('video'), { camera: `fake/${camera}`, stream: '', ...options });
    window.phases = [];
    window.player.addEventListener('state', ({ detail }) => {
      if (window.phases.at(-1)?.phase !== detail.phase || detail.failure) window.phases.push(detail);
    });
  }, [camera, options]);
  await watch(page);
  await page.evaluate(() => window.player.start());
}

const phases = (page) => page.evaluate(() => window.phases);
const seconds = (page, n) => page.waitForTimeout(n * 1000);

module.exports = async function playerChecks(judge, fake) {
  await judge.check('player: the first picture is live, and the player holds the live edge', async (page) => {
    await play(page, fake, 'plain');
    await decoded(page, 100);
    await forget(page);
    await seconds(page, 2);
    const { latencies } = await watched(page);
    assert.ok(median(latencies) < 500, `latency ${median(latencies)} ms`);
    const state = await phase(page, 'playing');
    assert.equal(state.output, 'mse');
    assert.deepEqual([state.codec, state.width, state.height], ['H264', 960, 540]);
  });

  await judge.check('player: sound plays when it is asked for, and pictures stay live', async (page) => {
    await play(page, fake, 'sound', { muted: false });
    await decoded(page, 100);
    const bytes = () => page.evaluate(() => document.querySelector('video').webkitAudioDecodedByteCount);
    const before = await bytes();
    await seconds(page, 1);
    assert.ok(await bytes() > before, 'sound is decoded');
  });

  await judge.check('player: a muted player leaves the sound out, and takes it when it is not muted', async (page) => {
    await play(page, fake, 'sound');
    await decoded(page, 25);
    const bytes = () => page.evaluate(() => document.querySelector('video').webkitAudioDecodedByteCount);
    assert.equal(await bytes(), 0);
    assert.equal((await phase(page, 'playing')).audio, 'AAC');
    await page.evaluate(() => { window.player.muted = false; });
    await decoded(page, 50);
    assert.ok(await bytes() > 0, 'sound is decoded');
  });

  await judge.check('player: lost pictures do not stop the video', async (page) => {
    await play(page, fake, 'lossy');
    await decoded(page, 50);
    await forget(page);
    await seconds(page, 8);
    const { longest, shown } = await watched(page);
    assert.ok(longest < 1000 && shown > 100, `${shown} pictures, one for ${Math.round(longest)} ms`);
  });

  await judge.check('player: what the gateway skips for a slow viewer leaves no delay', async (page) => {
    await play(page, fake, 'slow', { muted: false });
    await page.waitForFunction(() => window.watched.longest > 1000, null, { timeout: 30_000 }); // what was skipped
    await seconds(page, 1);
    await forget(page);
    await seconds(page, 1.5);
    const { latencies } = await watched(page);
    assert.ok(latencies.length > 20 && median(latencies) < 1500, `${latencies.length} pictures, latency ${median(latencies)} ms`);
  });

  await judge.check('player: a new epoch with another size, with sound and without, plays on', async (page) => {
    await play(page, fake, 'epochs', { muted: false });
    const sizes = new Set();
    for (let i = 0; i < 4; i++) {
      sizes.add(await page.evaluate(() => document.querySelector('video').videoWidth));
      await decoded(page, 40);
      await seconds(page, 0.9);
    }
    await decoded(page, 50);
    assert.equal((await phase(page, 'playing')).audio, null);
    assert.equal((await phases(page)).filter(({ failure }) => failure).length, 0);
  });

  await judge.check('player: it shows each hop of an opening', async (page) => {
    await play(page, fake, 'opening');
    for (const hop of ['hub', 'module', 'camera']) {
      await page.waitForFunction((hop) => window.player.state.hop === hop && window.player.state.phase === 'opening', hop, { timeout: 5000 });
    }
    await decoded(page);
  });

  await judge.check('player: a failure has its words and the time of the next try, and the player recovers', async (page) => {
    await play(page, fake, 'failing');
    const { failure, retryAt, hop } = await phase(page, 'reopening');
    assert.equal(failure.reason, 'CAM_REFUSED');
    assert.match(failure.message, /refuses/);
    assert.equal(hop, 'camera');
    assert.ok(retryAt > Date.now() - 2000);
    await phase(page, 'playing');
    await decoded(page);
    assert.equal(fake.counts.failing, 3);
  });

  await judge.check('player: after a lost connection it connects again, and the picture stays meanwhile', async (page) => {
    await play(page, fake, 'cut');
    await phase(page, 'playing');
    await phase(page, 'reopening');
    assert.ok(await page.evaluate(() => document.querySelector('video').readyState >= 2), 'the last picture is shown');
    await phase(page, 'playing');
    await decoded(page);
    assert.equal(fake.counts.cut, 2);
  });

  await judge.check('player: a frozen picture is called stalled, and the player connects again', async (page) => {
    await play(page, fake, 'frozen');
    await phase(page, 'playing');
    const { failure } = await phase(page, 'stalled');
    assert.equal(failure.reason, 'PICTURE_STALLED');
    await phase(page, 'playing');
    await decoded(page);
  });

  await judge.check('player: an expired token is shown and not tried again', async (page) => {
    await play(page, fake, 'token', { token: 'wrong' });
    const { failure, retryAt } = await phase(page, 'failed');
    assert.equal(failure.reason, 'ACCESS_EXPIRED');
    assert.equal(retryAt, null);
    await seconds(page, 3);
    assert.equal(fake.counts.token, 1);
  }, { expected: /WebSocket|401/ });

  await judge.check('player: the token is a subprotocol, and a function may make it', async (page) => {
    await page.goto(fake.url);
    await page.evaluate(() => { window.name = 'x'; });
    await play(page, fake, 'token', { token: 'right' });
    await decoded(page, 10);
    assert.equal(fake.requests.filter((path) => path.includes('right')).length, 0);
  });

  await judge.check('player: an unknown camera is shown and not tried again', async (page) => {
    await play(page, fake, 'unknown');
    const { failure, retryAt } = await phase(page, 'failed');
    assert.equal(failure.reason, 'CAM_UNKNOWN');
    assert.equal(retryAt, null);
  }, { expected: /WebSocket|404/ });

  await judge.check('player: H.265 that the browser cannot decode is replaced by the stream sub', async (page) => {
    await play(page, fake, 'h265', { stream: 'main', streams: ['main', 'sub'] });
    await decoded(page);
    const { stream, why, width } = await phase(page, 'playing');
    assert.deepEqual([stream, width], ['sub', 480]);
    assert.match(why, /H265/);
  });

  await judge.check('player: without such a stream it says so', async (page) => {
    await play(page, fake, 'h265');
    const { failure } = await phase(page, 'failed');
    assert.equal(failure.reason, 'CODEC_NOT_FOR_OUTPUT');
    assert.match(failure.message, /H265/);
  });

  await judge.check('player: bytes that are no video are a failure', async (page) => {
    await play(page, fake, 'garbage');
    const { failure } = await phase(page, 'reopening');
    assert.equal(failure.reason, 'MEDIA_INVALID');
  });

  await judge.check('player: a still picture is shown by its one picture', async (page) => {
    await play(page, fake, 'plain', { output: 'still' });
    await phase(page, 'playing');
    assert.equal(await page.evaluate(() => document.querySelector('video').videoWidth), 960);
    await page.evaluate(() => window.player.stop());
  });

  await judge.check('player: where WebSockets do not pass, it takes another output', async (page) => {
    await play(page, fake, 'blocked');
    await page.waitForFunction(() => window.player.state.output === 'hls', null, { timeout: 10_000 });
    assert.match((await page.evaluate(() => window.player.state)).why, /WebSockets do not pass/);
  }, { expected: /WebSocket|400/ });

  await judge.check('player: a hidden page closes its connection after 10 s, and plays again when it is seen', async (page) => {
    await play(page, fake, 'hidden');
    await phase(page, 'playing');
    const hide = (hidden) => page.evaluate((hidden) => {
      Object.defineProperty(document, 'hidden', { configurable: true, value: hidden });
      document.dispatchEvent(new Event('visibilitychange'));
    }, hidden);
    await hide(true);
    await phase(page, 'idle', 15_000);
    await seconds(page, 0.5);
    assert.equal(fake.viewers, 0);
    await hide(false);
    await phase(page, 'playing');
    await decoded(page);
  });

  await judge.check('player: stop frees the element and its connection; start plays again', async (page) => {
    await play(page, fake, 'again');
    await decoded(page, 10);
    await page.evaluate(() => window.player.stop());
    await seconds(page, 0.5);
    assert.equal(fake.viewers, 0);
    assert.equal(await page.evaluate(() => document.querySelector('video').getAttribute('src')), null);
    await page.evaluate(() => window.player.start());
    await decoded(page);
  });

  await judge.check('player: what is behind the picture is removed', async (page) => {
    await play(page, fake, 'plain');
    await seconds(page, 26);
    const buffered = await page.evaluate(() => {
      const { buffered, currentTime } = document.querySelector('video');
      return [buffered.length, currentTime - buffered.start(0)];
    });
    assert.ok(buffered[0] === 1 && buffered[1] < 16, `${buffered}`);
    assert.equal((await phases(page)).filter(({ phase }) => phase !== 'playing' && phase !== 'opening').length, 0);
  });
};
