'use strict';

// A stand-in for the gateway's outputs, with faults that a real one has rarely. It plays files
// of ffmpeg, so its fragments are not of the gateway's own writer. A camera's name says how it behaves.

const http = require('node:http');
const fs = require('node:fs');
const path = require('node:path');
const { moved, read } = require('./fragments');
const { WebSocketEnd } = require('./websocket');

/** policy is the page's Content-Security-Policy. */
const policy = "default-src 'self'; media-src 'self' blob:; connect-src 'self'; style-src 'self'; script-src 'self'; base-uri 'self'; frame-ancestors 'none'";

/** Feed plays a file again and again, in real time. */
class Feed {
  constructor(file) {
    Object.assign(this, read(file));
    this.seconds = Math.round(Math.max(...this.fragments.map((f) => f.time / this.scales[f.track - 1])));
    this.base = Math.floor(Date.now() / 1000); // decode times count from 1970, as the gateway's do
    this.begun = performance.now();
    this.next = 0;
    this.group = []; // since the newest key frame
    this.viewers = new Set();
    this.timer = setInterval(() => this.#play(), 4);
  }

  #play() {
    const elapsed = (performance.now() - this.begun) / 1000;
    for (;;) {
      const fragment = this.fragments[this.next % this.fragments.length], scale = this.scales[fragment.track - 1];
      const at = fragment.time / scale + this.seconds * Math.floor(this.next / this.fragments.length);
      if (at > elapsed) return;
      this.next++;
      const video = fragment.track === 1, media = at + this.base;
      const unit = { video, key: video && fragment.key, media, wall: Date.now(), bytes: moved(fragment, Math.round(media * scale)) };
      if (unit.key) this.group = [];
      if (video) this.newest = unit;
      this.group.push(unit);
      for (const viewer of this.viewers) viewer(unit);
    }
  }

  close() {
    clearInterval(this.timer);
  }
}

class Fake {
  #server;
  #feeds;
  #sockets = new Set();
  counts = {}; // WebSockets by camera
  requests = []; // of all paths

  /** assets is the folder of the page's files, clips has plain.mp4, sound.mp4 and small.mp4. */
  constructor(assets, clips) {
    this.assets = assets;
    this.clips = clips;
  }

  async start() {
    this.#feeds = Object.fromEntries(['plain', 'sound', 'small'].map((name) => [name, new Feed(path.join(this.clips, `${name}.mp4`))]));
    this.#server = http.createServer((request, response) => this.#answer(request, response));
    this.#server.on('upgrade', (request, socket) => this.#upgrade(request, socket));
    await new Promise((resolve) => { this.#server.listen(0, '127.0.0.1', resolve); });
    this.url = `http://127.0.0.1:${this.#server.address().port}/`;
    return this;
  }

  async stop() {
    for (const feed of Object.values(this.#feeds)) feed.close();
    for (const socket of this.#sockets) socket.destroy();
    this.#server.closeAllConnections();
    await new Promise((resolve) => { this.#server.close(resolve); });
  }

  /** viewers is how many WebSockets are open. */
  get viewers() {
    return this.#sockets.size;
  }

  #answer(request, response) {
    const { pathname } = new URL(request.url, this.url);
    this.requests.push(pathname);
    if (pathname === '/') {
      response.writeHead(200, { 'Content-Type': 'text/html', 'Content-Security-Policy': policy });
      response.end('<!doctype html><html lang="en"><title>judge</title><link rel="icon" href="icon"><video width="960" height="540"></video></html>');
      return;
    }
    if (pathname === '/icon') {
      response.writeHead(204).end();
      return;
    }
    const live = /^\/live\/fake\/([^/]+)\/(?:sub\/)?(.*)$/.exec(pathname);
    if (live) this.#live(live[1], live[2], request, response);
    else this.#file(path.join(this.assets, path.normalize(pathname)), response);
  }

  #file(file, response) {
    if (!fs.existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'Content-Type': /js$/.test(file) ? 'text/javascript' : 'application/octet-stream' });
    fs.createReadStream(file).pipe(response);
  }

  #live(camera, tail, request, response) {
    const failure = refusals[camera];
    if (failure && (camera !== 'token' || request.headers.authorization !== 'Bearer right')) problem(response, failure);
    else if (tail === 'still.mp4') {
      const { init, newest, group } = this.#feeds.plain;
      response.writeHead(200, { 'Content-Type': 'video/mp4' }).end(Buffer.concat([init, (group.find(({ key }) => key) ?? newest).bytes]));
    } else response.writeHead(400).end('Bad Request'); // a WebSocket is expected here
  }

  #upgrade(request, socket) {
    const [, camera, stream] = /^\/live\/fake\/([^/]+)\/(?:main\/)?(sub\/)?mse$/.exec(request.url);
    const count = this.counts[camera] = (this.counts[camera] ?? 0) + 1;
    const wrong = camera === 'token' && !/token\.right/.test(request.headers['sec-websocket-protocol']);
    if (camera === 'blocked' || (refusals[camera] && (camera !== 'token' || wrong))) {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      return;
    }
    const end = new WebSocketEnd(request, socket);
    this.#sockets.add(socket);
    const timers = [];
    socket.on('close', () => {
      this.#sockets.delete(socket);
      timers.forEach(clearTimeout);
    });
    const later = (milliseconds, f) => timers.push(setTimeout(f, milliseconds));
    const play = (feed, more) => this.#play(feed, end, socket, more);
    behave({ camera, sub: Boolean(stream), count, end, socket, later, play });
  }

  // #play sends the feed. keep(unit) tells which units are sent.
  #play(name, end, socket, { keep = () => true, epoch = 1, codecs = 'avc1.4D401F' } = {}) {
    const feed = this.#feeds[name], sound = feed.scales.length > 1;
    end.text({
      type: 'init', epoch, mime: `video/mp4; codecs="${codecs}${sound ? ',mp4a.40.2' : ''}"`,
      video: { codec: codecs.startsWith('hvc1') ? 'H265' : 'H264', width: 960, height: 540 },
      audio: sound ? { codec: 'AAC', sampleRate: 48000, channels: 1 } : null, timescale: feed.scales[0],
    });
    end.binary(Buffer.concat([feed.init, ...feed.group.map(({ bytes }) => bytes)]));
    const clock = () => end.text({ type: 'clock', media: feed.newest.media, wall: feed.newest.wall, now: Date.now() });
    clock();
    const timer = setInterval(clock, 1000);
    const viewer = (unit) => { if (keep(unit)) end.binary(unit.bytes); };
    feed.viewers.add(viewer);
    const stop = () => {
      feed.viewers.delete(viewer);
      clearInterval(timer);
    };
    socket.on('close', stop);
    return stop;
  }
}

const failure = (hop, reason, message, more) => ({ hop, reason, message, since: new Date().toISOString(), ...more });

/** refusals are cameras whose requests get a problem document. */
const refusals = {
  token: failure('viewer', 'ACCESS_EXPIRED', 'the token has expired: ask for a new one'),
  unknown: failure('viewer', 'CAM_UNKNOWN', 'there is no such camera'),
};

function problem(response, failed) {
  const status = failed.reason === 'CAM_UNKNOWN' ? 404 : 401;
  response.writeHead(status, { 'Content-Type': 'application/problem+json' });
  response.end(JSON.stringify({ type: 'about:blank', status, ...failed }));
}

/** behave does what the camera's name says. count is the number of this WebSocket of the camera. */
function behave({ camera, sub, count, end, socket, later, play }) {
  switch (camera) {
    case 'opening':
      ['hub', 'module', 'camera'].forEach((hop, i) => later(i * 400, () => end.text({ type: 'opening', hop, message: `asking the ${hop}` })));
      later(1200, () => play('plain'));
      return;
    case 'failing': // for the first two viewers
      if (count > 2) { play('plain'); return; }
      end.text({ type: 'error', failure: failure('camera', 'CAM_REFUSED', 'the camera refuses connections', { retryAt: new Date(Date.now() + 700).toISOString() }) });
      end.close(1011);
      return;
    case 'cut': // the first connection ends without a close frame
      play('plain');
      if (count === 1) later(2500, () => socket.destroy());
      return;
    case 'frozen': { // the first connection falls silent
      const stop = play('plain');
      if (count === 1) later(2500, stop);
      return;
    }
    case 'lossy': { // 3 of 60 pictures are lost
      let n = 0;
      play('plain', { keep: ({ key }) => key || ++n % 60 > 2 });
      return;
    }
    case 'slow': { // after 5 s, what comes before the next key frame is skipped, as the gateway does it
      let from = 0;
      play('sound', {
        keep: ({ media, key }) => {
          if (!from || (key && media - from >= 5)) from = media;
          return media - from < 5;
        },
      });
      return;
    }
    case 'epochs': { // another size, then sound, then none
      const kinds = ['plain', 'small', 'sound', 'plain'];
      let stop = () => {};
      kinds.forEach((name, i) => later(i * 2500, () => { stop(); stop = play(name, { epoch: i + 1 }); }));
      return;
    }
    case 'h265':
      if (sub) play('small');
      else play('plain', { codecs: 'hvc1.1.6.L93.B0' });
      return;
    case 'garbage':
      end.text({ type: 'init', epoch: 1, mime: 'video/mp4; codecs="avc1.4D401F"', video: { codec: 'H264' }, audio: null });
      end.binary(Buffer.from('no boxes at all, whatever the length of this is'));
      return;
    default:
      play(camera === 'sound' ? 'sound' : 'plain');
  }
}

module.exports = { Fake };
