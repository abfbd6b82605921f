'use strict';

// node bench.js BIN DIR [TIMES]: first pictures and latencies in headless Chromium, medians of
// TIMES (10). .ci/browser bench calls it in its own network namespace.
//
// The camera has 960x540 at 25 pictures a second, 1.5 Mbit/s, and a key frame each 4 s. Viewers
// join at random times. A first picture is the first requestVideoFrameCallback after the click;
// latency is from the gateway's reception of a picture to its expected display.

const { Judge, median, watch, watched, forget } = require('./judge');
const { open } = require('./outputs');
const { until } = require('./processes');
const { Site } = require('./site');

const wait = (seconds) => new Promise((resolve) => { setTimeout(resolve, seconds * 1000); });

/** click plays a camera on a page that has loaded the player, and returns what it saw within some seconds. */
async function click(page, site, camera, options, seconds) {
  await page.evaluate(async ([player, camera, options]) => {
    const { Player } = await import(player);
    window.player = new Player(document.querySelector('video'), { camera: `edge1/${camera}`, ...options });
  }, [page.player, camera, { token: site.token, ...options }]);
  await watch(page);
  await page.evaluate(() => { window.watched.begun = performance.now(); window.player.start(); });
  await wait(seconds);
  const { first, live } = await watched(page);
  await forget(page);
  await wait(1.5);
  const { latencies, longest } = await watched(page);
  return { first, live, latency: median(latencies), longest };
}

async function repeated(judge, site, times, camera, options, { seconds = 2, before = () => {} } = {}) {
  const all = [];
  for (let i = 0; i < times; i++) {
    const page = await judge.page();
    await open(page, site);
    await page.evaluate((player) => import(player), page.player);
    await before();
    await wait(Math.random() * 4);
    all.push(await click(page, site, camera, options, seconds));
    await page.context().close();
  }
  return all;
}

function row(what, all, member) {
  const values = all.map((one) => one[member]).filter((value) => typeof value === 'number').map(Math.round);
  console.log(`${what.padEnd(62)} ${String(Math.min(...values)).padStart(5)} / ${String(median(values)).padStart(5)} / ${String(Math.max(...values)).padStart(5)} ms  (${values.length})`);
}

// held keeps an output open in a page of its own while f runs.
async function held(judge, site, camera, options, f) {
  const page = await judge.page();
  await open(page, site);
  await click(page, site, camera, options, 3);
  await f();
  await page.context().close();
}

async function closed(site, camera) {
  await until('the stream closes', async () => !/"state":"(live|closing|opening|reopening)"/.test(await site.get(`api/cameras/edge1/${camera}`)), 30);
}

async function wall(judge, site, times) {
  const all = [];
  for (let i = 0; i < times; i++) {
    const page = await judge.page();
    await page.context().request.post(`${site.url}login`, { data: { token: site.token }, headers: { Origin: new URL(site.url).origin } });
    await page.addInitScript(() => {
      document.addEventListener('loadeddata', (event) => { if (event.target.matches?.('video.still')) window.firstStill ??= performance.now(); }, true);
    });
    await page.goto(site.url);
    await page.waitForFunction(() => window.firstStill, null, { timeout: 20_000 });
    all.push({ first: await page.evaluate(() => window.firstStill) });
    await page.context().close();
  }
  return all;
}

async function main([bin, dir, times = '10']) {
  const site = new Site(bin, dir), n = Number(times);
  const judge = await new Judge(dir).start();
  try {
    await site.start();
    await held(judge, site, 'plain', {}, async () => {
      const mse = await repeated(judge, site, n, 'plain', {});
      row('MSE, stream open, GOP 4 s: click to first picture', mse, 'first');
      row('MSE, stream open, GOP 4 s: click to first live picture', mse, 'live');
      row('MSE: steady latency', mse, 'latency');
      row('MSE: longest time of one picture', mse, 'longest');
    });
    await held(judge, site, 'sound', {}, async () => {
      const sound = await repeated(judge, site, n, 'sound', { muted: false });
      row('MSE with sound, stream open: click to first picture', sound, 'first');
      row('MSE with sound: steady latency', sound, 'latency');
    });
    const cold = await repeated(judge, site, n, 'front', {}, { before: () => closed(site, 'front') });
    row('MSE, stream closed, key frame first: click to first picture', cold, 'first');
    await held(judge, site, 'plain', { output: 'hls' }, async () => {
      const hls = await repeated(judge, site, n, 'plain', { output: 'hls' }, { seconds: 6 });
      row('LL-HLS, muxer running, GOP 4 s: click to first picture', hls, 'first');
      row('LL-HLS, GOP 4 s: steady latency', hls, 'latency');
    });
    row('wall: navigation to a last-seen picture', await wall(judge, site, n), 'first');
  } finally {
    await site.stop();
    await judge.stop();
  }
}

main(process.argv.slice(2));
