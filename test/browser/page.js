'use strict';

// The page over the whole system: what people see and do, in both themes and on a phone.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { decoded } = require('./judge');

const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const tiles = '.tile:not([hidden])';

/** login opens an address of the page and logs in by a token. page.requests has all addresses asked. */
async function login(page, site, at = '', token = site.token) {
  page.requests = [];
  page.on('request', (request) => page.requests.push(request.url()));
  await page.goto(site.url + at);
  await page.fill('#token', token);
  await page.click('button[type=submit]');
  await page.waitForSelector('header');
}

/** look asserts that axe-core has no serious finding and that nothing is wider than the page. */
async function look(page, judge, name) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document));
  const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  assert.deepEqual(serious.map(({ id, nodes }) => `${name}: ${id} at ${nodes[0].html}`), []);
  const [wide, width] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= width, `${name} is ${wide} pixels wide, the window ${width}`);
  fs.mkdirSync(judge.pictures, { recursive: true });
  await page.screenshot({ path: path.join(judge.pictures, `${name}.png`), fullPage: true });
}

const early = /status of 401.*\/api\/me$/; // the page asks who is there before the login

const playing = (page, n) => page.waitForFunction((n) => [...document.querySelectorAll('.tile video.live')]
  .filter((video) => video.getVideoPlaybackQuality().totalVideoFrames >= 50).length >= n, n, { timeout: 30_000 });

async function page(judge, site) {
  await judge.check('page: a login by a token, and its errors in words', async (page) => {
    await page.goto(site.url);
    await page.fill('#token', 'rtt_wrong');
    await page.click('button[type=submit]');
    await page.waitForFunction(() => document.querySelector('.form-note')?.textContent.length > 10);
    await page.fill('#token', site.token);
    await page.click('button[type=submit]');
    await page.waitForSelector(tiles);
    await page.click('text=Log out');
    await page.waitForSelector('#token');
  }, { expected: /status of 401.*\/(api\/me|login)$/ });

  await judge.check('page: a one-time code logs in once, and leaves the address bar', async (page) => {
    const { code } = JSON.parse(await site.get('api/logins', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' }));
    await page.goto(`${site.url}#login=${code}`);
    await page.waitForSelector(tiles);
    assert.equal(await page.evaluate(() => location.hash), '');
    await page.context().clearCookies();
    await page.goto('about:blank');
    await page.goto(`${site.url}#login=${code}`);
    await page.waitForSelector('#token');
    assert.match(await page.textContent('.form-note'), /does not work any more/);
  }, { expected: /status of 401.*\/(api\/me|login)$/ });

  await judge.check('page: the wall plays what is in view, and asks no other site', async (page) => {
    await login(page, site);
    await playing(page, 2);
    assert.deepEqual(page.requests.filter((address) => !address.startsWith(site.url) && !address.startsWith('blob:')), []);
    const off = page.locator('.tile[href="cameras/edge1/off"]');
    await off.locator('.dot.bad').waitFor({ timeout: 30_000 });
    assert.match(await off.locator('.tile-state').textContent(), /\w+ \w+ \w+/);
    await page.click('.toggle');
    await page.waitForFunction(() => [...document.querySelectorAll('.tile-age')].some(({ textContent }) => /ago$/.test(textContent)));
  }, { expected: early, context: { viewport: { width: 1280, height: 1200 } } });

  await judge.check('page: names from twins are text', async (page) => {
    await login(page, site);
    const title = page.locator('.tile[href="cameras/edge1/plain"] .tile-title');
    await title.waitFor();
    assert.match(await title.textContent(), /^<img src=x/);
    await title.click();
    await page.waitForSelector('main.camera h1');
    assert.match(await page.textContent('h1'), /^<img src=x/);
    assert.equal(await page.locator('img').count(), 0);
  }, { expected: early });

  await judge.check('page: search and keys', async (page) => {
    await login(page, site);
    await page.waitForSelector(tiles);
    await page.keyboard.press('/');
    await page.keyboard.type('edge1/sound');
    await page.waitForFunction((tiles) => document.querySelectorAll(tiles).length === 1, tiles);
    await page.keyboard.press('Escape');
    await page.waitForFunction((tiles) => document.querySelectorAll(tiles).length > 2, tiles);
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press('?');
    await page.waitForSelector('dialog[open]');
    await page.keyboard.press('Escape');
    await page.waitForSelector('dialog', { state: 'detached' });
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowRight');
    const href = await page.evaluate(() => document.activeElement.getAttribute('href'));
    await page.keyboard.press('Enter');
    await page.waitForSelector('main.camera');
    assert.ok(page.url().endsWith(href), page.url());
    assert.equal(await page.evaluate(() => document.activeElement.tagName), 'H1');
    await page.keyboard.press('Escape');
    await page.waitForSelector(tiles);
    await page.waitForFunction((href) => document.activeElement.getAttribute('href') === href, href);
  }, { expected: early });

  await judge.check('page: one camera, its figures, its outputs and its links', async (page) => {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await login(page, site, 'cameras/edge1/sound');
    await decoded(page, 50, 'video.picture');
    const facts = () => page.$$eval('.facts div', (all) => Object.fromEntries(all.map((div) => [div.firstChild.textContent, div.lastChild.textContent])));
    await page.waitForFunction(() => /^each/.test([...document.querySelectorAll('.facts div')].find((div) => div.firstChild.textContent === 'Key frames').lastChild.textContent));
    const { Codec, Size, Latency } = await facts();
    assert.deepEqual([Codec, Size], ['H264, AAC', '960 × 540']);
    assert.match(Latency, /^-?\d+ ms$/);
    assert.match(await page.textContent('.camera > .hint'), /MSE/);
    await page.click('text=Copy page for a frame');
    await page.waitForSelector('text=Copied with a token');
    const frame = await page.evaluate(() => navigator.clipboard.readText());
    const [, embed] = /src="([^"]+)"/.exec(frame);
    await page.goto(embed);
    await decoded(page, 25, 'video');
  }, { expected: early });

  await judge.check('page: why a camera has no picture', async (page) => {
    await login(page, site, 'cameras/edge1/off');
    const broken = page.locator('.hops li.bad');
    await broken.waitFor({ timeout: 30_000 });
    assert.match(await broken.textContent(), /fails here/);
    assert.match(await page.textContent('.why-text'), /\w+ \w+/);
    await page.locator('.why-next', { hasText: 'Next try in' }).waitFor({ timeout: 30_000 });
    await page.click('text=Diagnose');
    await page.waitForSelector('.diagnosis tr.bad', { timeout: 40_000 });
    await look(page, judge, 'why-not');
  }, { expected: early });

  await judge.check('page: a share is made, opened by a stranger, and revoked', async (page) => {
    await login(page, site, 'cameras/edge1/sound');
    await page.fill('#share-note', '<b>visitor</b>');
    await page.click('text=Make a link');
    const link = await page.inputValue('.share input[readonly]');
    const stranger = await judge.page({});
    try {
      await stranger.goto(link);
      await decoded(stranger, 25, 'video');
      assert.equal(new URL(stranger.url()).hash, '');
      await page.click('nav >> text=Shares');
      await page.waitForSelector('td:has-text("<b>visitor</b>")');
      await look(page, judge, 'shares');
      await page.click('tr:has-text("<b>visitor</b>") button');
      await page.waitForSelector('td:has-text("<b>visitor</b>")', { state: 'detached' });
      await stranger.waitForFunction(() => document.querySelector('.why-text').textContent.length > 5, null, { timeout: 30_000 });
    } finally {
      await stranger.context().close();
    }
  }, { expected: early });

  for (const colorScheme of ['dark', 'light']) {
    for (const width of [360, 1440]) {
      await judge.check(`page: ${colorScheme}, ${width} pixels wide`, async (page) => {
        await page.goto(site.url);
        await page.waitForSelector('#token');
        await look(page, judge, `login-${colorScheme}-${width}`);
        await login(page, site);
        await playing(page, 1);
        await look(page, judge, `wall-${colorScheme}-${width}`);
        await page.click('.tile[href="cameras/edge1/sound"]');
        await decoded(page, 25, 'video.picture');
        await look(page, judge, `camera-${colorScheme}-${width}`);
      }, { expected: early, context: { colorScheme, viewport: { width, height: 900 }, reducedMotion: 'reduce' } });
    }
  }
}

module.exports = { page };
