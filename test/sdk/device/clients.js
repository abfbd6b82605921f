'use strict';

// Devices and modules under test, each with what the service side and the
// device side can do with it, and suites that run over both transports.

const { EventEmitter, once } = require('node:events');
const { describe } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');
const { promisify } = require('node:util');
const { Client, ModuleClient } = require('azure-iot-device');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');
const { NoRetry, SharedAccessSignature, encodeUriComponentStrict } = require('azure-iot-common');
const hub = require('../hub');

const transports = [['MQTT', Mqtt]];

/** How long one suite may take, in milliseconds. */
const suiteWithin = 60_000;

/**
 * overBoth defines a suite of tests for each transport. The tests of a suite
 * run side by side.
 */
function overBoth(name, define) {
  for (const [words, transport] of transports) {
    describe(`${name}, over ${words}`, { concurrency: 100, timeout: suiteWithin }, () => define(transport));
  }
}

/** Both kinds of identities. */
const kinds = ['device', 'module'];

/** Identity is a device or a module. */
class Identity {
  #clients = [];

  constructor({ deviceId, moduleId, authentication }) {
    this.ids = moduleId === undefined ? [deviceId] : [deviceId, moduleId];
    this.keys = authentication?.symmetricKey ?? {};
  }

  get isModule() {
    return this.ids.length === 2;
  }

  /** name is "device" or "device/module". */
  get name() {
    return this.ids.join('/');
  }

  /** connectionString has any of its parts changed, or left out if undefined. */
  connectionString(changes = {}) {
    const [DeviceId, ModuleId] = this.ids;
    const all = { HostName: 'localhost', DeviceId, ModuleId, SharedAccessKey: this.keys.primaryKey, ...changes };
    return Object.entries(all).filter(([, value]) => value !== undefined)
      .map(([key, value]) => `${key}=${value}`).join(';');
  }

  /** token is good for life seconds, for this identity and signed by its key unless said otherwise. */
  token(life, { key = this.keys.primaryKey, ids = this.ids } = {}) {
    const resource = ['localhost', 'devices', ids[0], ...(ids.length === 2 ? ['modules', ids[1]] : [])].join('/');
    const expiry = Math.floor(Date.now() / 1000) + life;
    return SharedAccessSignature.create(encodeUriComponentStrict(resource), undefined, key, expiry).toString();
  }

  /** client is not open yet; it is closed with the identity. */
  client(transport, connectionString = this.connectionString()) {
    return this.own((this.isModule ? ModuleClient : Client).fromConnectionString(connectionString, transport));
  }

  /** clientBy is one that logs in by a token, or by an AuthenticationProvider. */
  clientBy(transport, login) {
    const from = this.isModule ? ModuleClient : Client;
    return this.own(typeof login === 'string'
      ? from.fromSharedAccessSignature(login, transport)
      : from.fromAuthenticationProvider(login, transport));
  }

  /** own makes client end with this identity, before it. */
  own(client) {
    this.#clients.push(client);
    return client;
  }

  async open(transport) {
    const client = this.client(transport);
    await client.open();
    return client;
  }

  async close() {
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  async twin() {
    return (await hub.registry[this.isModule ? 'getModuleTwin' : 'getTwin'](...this.ids)).responseBody;
  }

  async patch(change) {
    const update = this.isModule ? 'updateModuleTwin' : 'updateTwin';
    return (await hub.registry[update](...this.ids, change, '*')).responseBody;
  }

  /** desire returns the new version. */
  async desire(desired) {
    return (await this.patch({ properties: { desired } })).properties.desired.$version;
  }

  /** call returns the device's status and payload. */
  async call(methodName, payload, params = {}) {
    const { result } = await hub.client.invokeDeviceMethod(...this.ids, {
      methodName, payload, connectTimeoutInSeconds: 20, ...params,
    });
    return result;
  }

  async connectionState() {
    return (await this.twin()).connectionState;
  }
}

/** makeIdentity makes one that ends with test t, its clients first. */
async function makeIdentity(t, kind, settings = {}) {
  let identity;
  t.after(() => identity?.close());
  const make = kind === 'module' ? hub.makeModule : hub.makeDevice;
  identity = new Identity(await make(t, settings));
  return identity;
}

/** onMethod takes handler(request, response) for calls of name. */
function onMethod(client, name, handler) {
  (client.onDeviceMethod ?? client.onMethod).call(client, name, handler);
}

/** echo makes client answer calls of name with 200 and their payload. */
function echo(client, name = 'echo') {
  onMethod(client, name, (request, response) => response.send(200, request.payload));
}

/** Watch collects the desired patches a client gets, as they came. */
class Watch {
  #news = new EventEmitter();

  patches = [];

  constructor(twin) {
    this.twin = twin;
  }

  static async of(client) {
    const watch = new Watch(await client.getTwin());
    watch.twin.on('properties.desired', (patch) => {
      watch.patches.push(patch);
      watch.#news.emit('patch');
    });
    // The hub takes one packet after the other: with this answer, the
    // subscription stands. The SDK hands the whole twin out as a patch too.
    await watch.twin.get();
    watch.patches.length = 0;
    return watch;
  }

  /** has waits for n patches in all, and returns them. */
  async has(n) {
    while (this.patches.length < n) await once(this.#news, 'patch');
    return this.patches;
  }
}

/** report updates reported properties. */
const report = (twin, patch) => promisify(twin.properties.reported.update)(patch);

/** disconnected waits for client to lose its connection for good; to be called before that. */
async function disconnected(client) {
  client.setRetryPolicy(new NoRetry());
  await once(client, 'disconnect');
}

/** eventually asks until the answer is wanted. */
async function eventually(ask, wanted) {
  for (;;) {
    if (await ask() === wanted) return;
    await sleep(50);
  }
}

module.exports = {
  Identity, Watch, disconnected, echo, eventually, kinds, makeIdentity, onMethod, overBoth, report,
};
