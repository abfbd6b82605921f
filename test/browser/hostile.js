'use strict';

// What a page of another origin can do to a person who is logged in: nothing.

const assert = require('node:assert/strict');
const http = require('node:http');

/** stranger serves an empty page of another site. */
async function stranger() {
  const server = http.createServer((request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html' }).end('<!doctype html><title>stranger</title><body></body>');
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return server;
}

async function hostile(judge, site) {
  const server = await stranger();
  const elsewhere = `http://127.0.0.1:${server.address().port}/`;
  const login = (page) => page.context().request.post(`${site.url}login`, { data: { token: site.token }, headers: { Origin: new URL(site.url).origin } });
  const any = /./; // the browser reports each refusal in the console

  await judge.check('hostile: a WebSocket of another origin is refused', async (page) => {
    assert.ok((await login(page)).ok());
    await page.goto(elsewhere);
    const how = (url, protocols) => page.evaluate(([url, protocols]) => new Promise((resolve) => {
      const socket = new WebSocket(url, protocols);
      socket.onopen = () => resolve('open');
      socket.onclose = () => resolve('refused');
    }), [url, protocols]);
    const live = `${site.url.replace('https', 'wss')}live/edge1/plain/mse`;
    assert.equal(await how(live, ['rtsptunnel.mse.v1']), 'refused');
    assert.equal(await how(live.replace('mse', 'rtsp'), ['binary']), 'refused');
    await page.goto(site.url);
    assert.equal(await how(live, ['rtsptunnel.mse.v1']), 'open', 'the same login works on the own origin');
  }, { expected: any });

  await judge.check('hostile: a page of another origin cannot send what the login may do', async (page) => {
    await login(page);
    await page.goto(elsewhere);
    const before = JSON.parse(await site.get('api/shares')).shares?.length;
    for (const route of ['logout', 'api/shares', 'api/tokens', 'api/logins', 'api/cameras/edge1/plain:close']) {
      for (const type of ['text/plain', 'application/x-www-form-urlencoded']) {
        await page.evaluate(([url, type]) => fetch(url, {
          method: 'POST', mode: 'no-cors', credentials: 'include', headers: { 'Content-Type': type }, body: '{"camera":"edge1/plain"}',
        }).catch(() => {}), [site.url + route, type]);
      }
    }
    assert.equal(JSON.parse(await site.get('api/shares')).shares?.length, before, 'no share was made');
    const me = await page.context().request.get(`${site.url}api/me`);
    assert.equal(me.status(), 200, 'the login still holds');
    assert.equal(await page.evaluate((url) => fetch(url, { credentials: 'include' }).then(() => 'readable', () => 'refused'), `${site.url}api/me`), 'refused');
  }, { expected: any });

  await judge.check('hostile: no page but listed ones can frame the page', async (page) => {
    await login(page);
    await page.goto(elsewhere);
    for (const route of ['', 'cameras/edge1/plain', 'embed/edge1/plain']) {
      await page.evaluate((url) => new Promise((resolve) => {
        const frame = document.createElement('iframe');
        frame.onload = resolve;
        frame.src = url;
        document.body.append(frame);
      }), site.url + route);
    }
    const shown = page.frames().slice(1).filter((frame) => frame.url().startsWith(site.url));
    assert.deepEqual(shown.map((frame) => frame.url()), []);
  }, { expected: any });

  await judge.check('hostile: no address that the page asks or gives away has a token', async (page) => {
    const asked = [];
    page.on('request', (request) => asked.push(request));
    await page.goto(`${site.url}embed/edge1/plain#token=${site.token}`);
    await page.waitForFunction(() => document.querySelector('video')?.getVideoPlaybackQuality().totalVideoFrames > 10, null, { timeout: 20_000 });
    assert.equal(page.url().includes(site.token), false, 'the token leaves the address bar');
    for (const request of asked) {
      assert.equal(request.url().slice(request.url().indexOf('#') + 1 || undefined).includes(site.token) && !request.isNavigationRequest(), false, request.url());
      assert.equal((request.headers().referer ?? '').includes(site.token), false, 'Referer');
    }
  });
  server.closeAllConnections();
  server.close();
}

module.exports = { hostile };
