'use strict';

// What all tests here use: headless Chromium, pages that note their errors, and a line for each check.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { chromium } = require('playwright-core');

// Pages that Playwright fulfills have no address, and Chromium would not let them use loopback.
const flags = ['--no-sandbox', '--autoplay-policy=no-user-gesture-required', '--disable-features=LocalNetworkAccessChecks'];

class Judge {
  passed = 0;
  failed = 0;
  #pages = [];

  /** pictures is the folder for screenshots; only names checks that run (all if empty). */
  constructor(pictures, only = '') {
    this.pictures = pictures;
    this.only = only;
  }

  async start(more = []) {
    this.browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: [...flags, ...more] });
    return this;
  }

  async stop() {
    await this.browser.close();
  }

  /**
   * check runs f(page) in a page of its own and prints a line. It fails if f throws, or if the
   * page's console has an error that `expected` does not match.
   */
  async check(name, f, { expected = null, context = {} } = {}) {
    if (this.only && !name.includes(this.only)) return;
    const page = await this.page(context);
    const begun = Date.now();
    try {
      await f(page);
      const errors = page.faults.filter((text) => !expected?.test(text));
      assert.deepEqual(errors, [], 'the console is free of errors');
      this.passed++;
      console.log(`ok    ${name} (${((Date.now() - begun) / 1000).toFixed(1)} s)`);
    } catch (error) {
      this.failed++;
      console.log(`FAIL  ${name}: ${error.message}`);
      const picture = path.join(this.pictures, `${name.replace(/\W+/g, '-')}.png`);
      fs.mkdirSync(this.pictures, { recursive: true });
      await page.screenshot({ path: picture }).catch(() => {});
    } finally {
      await page.context().close();
    }
  }

  /** page returns a new page in a context of its own. faults has the console's errors. */
  async page(options) {
    const context = await this.browser.newContext({ viewport: { width: 1280, height: 800 }, ignoreHTTPSErrors: true, ...options });
    const page = await context.newPage();
    page.faults = [];
    page.on('console', (message) => { if (message.type() === 'error') page.faults.push(`${message.text()} ${message.location().url}`); });
    page.on('pageerror', (error) => page.faults.push(`${error.stack}`));
    return page;
  }

  /** summary prints the counts, and tells whether all is well. */
  summary() {
    console.log(`${this.passed} passed, ${this.failed} failed`);
    return this.failed === 0 && this.passed > 0;
  }
}

/**
 * watch observes a video in the page from now on. It counts shown pictures, and notes the longest
 * time between two of them, and latencies if the page has a player. Call it before the click.
 */
function watch(page, selector = 'video') {
  return page.evaluate((selector) => {
    const video = document.querySelector(selector), watched = { begun: performance.now(), shown: 0, longest: 0, first: null, live: null, latencies: [] };
    let last = 0;
    const seen = (_, { mediaTime, expectedDisplayTime }) => {
      const now = performance.now();
      watched.shown++;
      watched.first ??= now - watched.begun;
      if (last) watched.longest = Math.max(watched.longest, now - last);
      last = now;
      const latency = window.player?.latencyOf(mediaTime, performance.timeOrigin + expectedDisplayTime);
      if (typeof latency === 'number') {
        watched.latencies.push(latency);
        if (latency < 400) watched.live ??= now - watched.begun;
      }
      video.requestVideoFrameCallback(seen);
    };
    video.requestVideoFrameCallback(seen);
    window.watched = watched;
  }, selector);
}

/** watched returns what watch has seen since, or since the last call of forget. */
function watched(page) {
  return page.evaluate(() => window.watched);
}

/** forget begins the counts anew. */
function forget(page) {
  return page.evaluate(() => { Object.assign(window.watched, { shown: 0, longest: 0, latencies: [] }); });
}

/** decoded waits until `more` pictures are decoded, and asserts that none was more than a second late. */
async function decoded(page, more = 50, selector = 'video') {
  const frames = () => page.evaluate((s) => document.querySelector(s).getVideoPlaybackQuality().totalVideoFrames, selector);
  const reaches = async (n) => {
    await page.waitForFunction(([s, n]) => document.querySelector(s)?.getVideoPlaybackQuality().totalVideoFrames >= n, [selector, n], { timeout: 20_000 })
      .catch(async () => assert.fail(`not ${n} pictures: ${JSON.stringify(await page.evaluate(() => window.player?.state))} ${page.faults}`));
  };
  await reaches(1);
  await watch(page, selector);
  await reaches(await frames() + more);
  const { longest } = await watched(page);
  assert.ok(longest < 1000, `a picture was shown for ${Math.round(longest)} ms`);
}

/** phase waits until the player's state has the phase, and returns the state. */
async function phase(page, wanted, timeout = 20_000) {
  try {
    await page.waitForFunction((phase) => window.player?.state.phase === phase, wanted, { timeout });
  } catch {
    assert.fail(`not ${wanted}: ${JSON.stringify(await page.evaluate(() => window.player?.state))}`);
  }
  return page.evaluate(() => window.player.state);
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

module.exports = { Judge, watch, watched, forget, decoded, phase, median };
