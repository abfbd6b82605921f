'use strict';

// The whole system on one machine: the hub emulator, the edge module, cameras, and the gateway.
// Cameras are ffmpeg, which sends clips to test/republish.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const ava = require('./ava');
const { Process, until } = require('./processes');

/** cameras by name: the clip and its sound, and what else is set. */
const cameras = {
  plain: { clip: 'plain' },
  sound: { clip: 'sound', sub: 'small' },
  opus: { clip: 'opus' },
  alaw: { clip: 'alaw' },
  h265: { clip: 'h265', sub: 'small' },
  front: { clip: 'front', port: 8702 }, // begins with a key frame
};

class Site {
  #dir;
  #bin;
  url = 'https://localhost:9443/';
  slowPort = 9444; // where a slow link may stand; its origin is listed
  processes = {};

  /** bin has our programs, dir the clips, republish, and a certificate for localhost: tls.crt, tls.key. */
  constructor(bin, dir) {
    [this.#bin, this.#dir] = [path.resolve(bin), path.resolve(dir)];
  }

  #program(name, args, env) {
    return new Process(this.#dir, name, path.join(this.#bin, name), args, env);
  }

  #run(program, ...args) {
    return execFileSync(path.join(this.#bin, program), args, { encoding: 'utf8', env: { ...process.env, ...this.hub } });
  }

  async start() {
    const { token, entry } = JSON.parse(this.#run('tunnelgateway', 'token', 'new', '--json', '--role', 'admin', '--name', 'judge'));
    const viewer = JSON.parse(this.#run('tunnelgateway', 'token', 'new', '--json', '--name', 'viewer'));
    this.token = token;
    this.viewerToken = viewer.token;
    await this.startHub();
    await this.startCameras();
    this.#configure(entry.sha256, viewer.entry.sha256);
    this.#run('tunnelctl', 'hub', 'twin', 'set', 'edge1/rtsptunnel', '--desired', path.join(this.#dir, 'desired'));
    await this.startModule();
    await this.startGateway();
    await until('the gateway discovers its cameras', async () => (await this.get('api/cameras')).includes('edge1/plain'));
    return this;
  }

  async stop() {
    for (const process of Object.values(this.processes)) await process.kill();
  }

  /** get returns the text of a route of the API. */
  async get(route, options = {}) {
    const answer = await fetch(new URL(route, this.url), { ...options, headers: { Authorization: `Bearer ${this.token}`, ...options.headers } });
    return answer.text();
  }

  async viewers() {
    return JSON.parse(await this.get('api/viewers')).viewers;
  }

  async startHub() {
    const state = path.join(this.#dir, 'state');
    this.processes.hub = this.#program('hubemulator', ['serve', '--state', state, '--module', 'edge1/rtsptunnel']).start();
    await until('the hub emulator is ready', () => /^ready$/m.test(this.processes.hub.output));
    this.hub = Object.fromEntries([...this.processes.hub.output.matchAll(/^([A-Z_]+)='(.*)'$/gm)].map(([, key, value]) => [key, value]));
    fs.writeFileSync(path.join(this.#dir, 'hub-login'), this.hub.HUB_CONNECTION_STRING, { mode: 0o600 });
  }

  async startModule() {
    const generation = /^generation\s+(\S+)/m.exec(this.#run('tunnelctl', 'hub', 'module', 'show', 'edge1/rtsptunnel'))[1];
    this.processes.module = this.#program('rtsptunnel', [], {
      IOTEDGE_WORKLOADURI: this.hub.WORKLOAD_URI, IOTEDGE_AUTHSCHEME: 'sasToken', IOTEDGE_IOTHUBHOSTNAME: 'localhost',
      IOTEDGE_GATEWAYHOSTNAME: 'localhost', IOTEDGE_DEVICEID: 'edge1', IOTEDGE_MODULEID: 'rtsptunnel', IOTEDGE_APIVERSION: '2021-12-07',
      IOTEDGE_MODULEGENERATIONID: generation, RTSPTUNNEL_HUB_ADDRESS: '127.0.0.1:8883',
      RTSPTUNNEL_CA_FILE: path.join(this.#dir, 'tls.crt'), RTSPTUNNEL_ALLOW_LOOPBACK_REMOTE: 'true', RuntimeLogLevel: 'info',
    }).start();
    await until('the module acknowledges its cameras', () => {
      const { properties } = JSON.parse(this.#run('tunnelctl', 'hub', 'twin', 'get', 'edge1/rtsptunnel'));
      return properties.reported.cameras?.ac === 200;
    });
  }

  async startGateway() {
    this.processes.gateway = this.#program('tunnelgateway', ['run', '--config', path.join(this.#dir, 'gateway.yaml')]).start();
    await until('the gateway is ready', () => fetch('http://127.0.0.1:9610/readyz').then(({ ok }) => ok, () => false));
  }

  async startCameras() {
    this.processes.republish = new Process(this.#dir, 'republish', path.join(this.#dir, 'republish'), ['127.0.0.1:8701']).start();
    await until('republish is ready', () => this.processes.republish.output.includes('ready'));
    this.processes.front = new Process(this.#dir, 'front', path.join(this.#dir, 'camera'), ['127.0.0.1:8702', 'front']).start();
    const published = Object.values(cameras).filter(({ port }) => !port).flatMap(({ clip, sub }) => [clip, sub]);
    for (const clip of new Set(published.filter(Boolean))) await this.startCamera(clip);
  }

  /** startCamera begins to send a clip, again and again. */
  async startCamera(clip) {
    const before = this.processes.republish.output.split(`RECORD /${clip}\n`).length;
    this.processes[clip] = new Process(this.#dir, `camera-${clip}`, 'ffmpeg', [
      '-nostdin', '-v', 'error', '-re', '-stream_loop', '-1', '-i', path.join(this.#dir, `${clip}.mp4`), '-c', 'copy',
      '-f', 'rtsp', '-rtsp_transport', 'tcp', `rtsp://127.0.0.1:8701/${clip}`,
    ]).start();
    await until(`the camera ${clip} sends`, () => this.processes.republish.output.split(`RECORD /${clip}\n`).length > before);
  }

  #configure(admin, viewer) {
    const desired = { cameras: {} };
    let localPort = 1000;
    for (const [name, { clip, sub, port = 8701 }] of Object.entries(cameras)) {
      const streams = { main: { path: `/${clip}` }, ...(sub ? { sub: { path: `/${sub}` } } : {}) };
      desired.cameras[name] = { host: '127.0.0.1', port, localPort: ++localPort, streams };
    }
    desired.cameras.off = { host: '127.0.0.1', port: 8799, localPort: ++localPort, streams: { main: { path: '/off' } } };
    fs.writeFileSync(path.join(this.#dir, 'desired'), JSON.stringify(desired));
    const file = (name) => path.join(this.#dir, name);
    fs.writeFileSync(file('gateway.yaml'), JSON.stringify({ // JSON is YAML, too
      listen: {
        public: [{ address: '127.0.0.1:9443', cert: file('tls.crt'), key: file('tls.key') }],
        rtsp: { address: '127.0.0.1:8554' }, private: { address: '127.0.0.1:9610' },
      },
      publicURL: 'https://localhost:9443',
      data: file('data'),
      hubs: { main: { connectionStringFile: file('hub-login'), caFile: file('state/ca.pem'), discover: true } },
      cameras: { 'edge1/plain': { title: '<img src=x onerror="document.title=1">' } },
      access: { origins: [ava.origin, `https://localhost:${this.slowPort}`], tokens: [{ name: 'judge', role: 'admin', sha256: admin }, { name: 'viewer', role: 'viewer', cameras: ['edge1/plain'], sha256: viewer }] },
      live: { grace: '2s' },
      log: { level: 'debug', format: 'json' },
    }));
  }
}

module.exports = { Site };
