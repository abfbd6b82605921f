'use strict';

// Devices and modules under test, with the operations of the service side and
// of the device side, and suites that run over both transports.

const assert = require('node:assert/strict');
const { EventEmitter, once } = require('node:events');
const { describe } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');
const { promisify } = require('node:util');
const { Client, ModuleClient } = require('azure-iot-device');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');
const {
  ExponentialBackOffWithJitter, NoRetry, SharedAccessSignature, encodeUriComponentStrict,
} = require('azure-iot-common');
const hub = require('../hub');

const transports = [['MQTT', Mqtt], ['WebSocket', MqttWs]];

/** Timeout of one suite, in milliseconds. */
const suiteWithin = 60_000;

/** overBoth defines a suite for each transport. The tests of a suite run concurrently. */
function overBoth(name, define) {
  for (const [words, transport] of transports) {
    describe(`${name}, over ${words}`, { concurrency: 100, timeout: suiteWithin }, () => define(transport));
  }
}

/** Both kinds of identities. */
const kinds = ['device', 'module'];

/** UntilClosed is the SDK's own retry policy, which would retry for minutes after a test, until it is closed. */
class UntilClosed extends ExponentialBackOffWithJitter {
  closed = false;

  shouldRetry(error) {
    return !this.closed && super.shouldRetry(error);
  }
}

/** Identity is a device or a module. */
class Identity {
  #clients = [];

  #retries = new UntilClosed();

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

  /** path names the identity in URLs. */
  get path() {
    const [deviceId, moduleId] = this.ids;
    return this.isModule ? `devices/${deviceId}/modules/${moduleId}` : `devices/${deviceId}`;
  }

  /** connectionString returns it with these changes; a part that is undefined is left out. */
  connectionString(changes = {}) {
    const [DeviceId, ModuleId] = this.ids;
    const all = { HostName: 'localhost', DeviceId, ModuleId, SharedAccessKey: this.keys.primaryKey, ...changes };
    return Object.entries(all).filter(([, value]) => value !== undefined)
      .map(([key, value]) => `${key}=${value}`).join(';');
  }

  /** token is valid for life seconds. It is for this identity and signed by its key, unless given otherwise. */
  token(life, { key = this.keys.primaryKey, ids = this.ids } = {}) {
    const resource = ['localhost', 'devices', ids[0], ...(ids.length === 2 ? ['modules', ids[1]] : [])].join('/');
    const expiry = Math.floor(Date.now() / 1000) + life;
    return SharedAccessSignature.create(encodeUriComponentStrict(resource), undefined, key, expiry).toString();
  }

  /** client returns a client that is not open yet. It is closed with the identity. */
  client(transport, connectionString = this.connectionString()) {
    return this.own((this.isModule ? ModuleClient : Client).fromConnectionString(connectionString, transport));
  }

  /** clientBy returns a client that logs in by a token or by an AuthenticationProvider. */
  clientBy(transport, login) {
    const from = this.isModule ? ModuleClient : Client;
    return this.own(typeof login === 'string'
      ? from.fromSharedAccessSignature(login, transport)
      : from.fromAuthenticationProvider(login, transport));
  }

  /** own registers client, so that close closes it. */
  own(client) {
    this.#clients.push(client);
    client.setRetryPolicy(this.#retries);
    return client;
  }

  async open(transport) {
    const client = this.client(transport);
    await client.open();
    return client;
  }

  async close() {
    this.#retries.closed = true;
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  async twin() {
    return (await hub.registry[this.isModule ? 'getModuleTwin' : 'getTwin'](...this.ids)).responseBody;
  }

  async patch(change) {
    const update = this.isModule ? 'updateModuleTwin' : 'updateTwin';
    return (await hub.registry[update](...this.ids, change, '*')).responseBody;
  }

  /** desire updates desired properties and returns their new version. */
  async desire(desired) {
    return (await this.patch({ properties: { desired } })).properties.desired.$version;
  }

  /** call invokes a direct method and returns the device's status and payload. */
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

/** makeIdentity creates an identity that is deleted after test t. Its clients are closed first. */
async function makeIdentity(t, kind, settings = {}) {
  let identity;
  t.after(() => identity?.close());
  const make = kind === 'module' ? hub.makeModule : hub.makeDevice;
  identity = new Identity(await make(t, settings));
  return identity;
}

/** onMethod registers handler(request, response) for calls of name. */
function onMethod(client, name, handler) {
  (client.onDeviceMethod ?? client.onMethod).call(client, name, handler);
}

/** echo makes client answer calls of name with 200 and their payload. */
function echo(client, name = 'echo') {
  onMethod(client, name, (request, response) => response.send(200, request.payload));
}

/** Watch collects the desired patches that a client receives, in order. */
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
    // The hub handles packets in order, so with this answer the subscription
    // is in force. The SDK also reports the whole twin as a patch.
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

/** telemetry returns the hub's messages of an identity, oldest first; bodies are Buffers. */
async function telemetry(identity) {
  const answer = await fetch('https://localhost/emulator/telemetry');
  assert.equal(answer.status, 200);
  return (await answer.json())
    .filter((message) => message.identity === identity.name)
    .map((message) => ({ ...message, body: Buffer.from(message.body, message.bodyEncoding ?? 'utf8') }));
}

/** demand sends a request to the emulator's own API, such as one for a fault. */
async function demand(method, path, body) {
  const answer = await fetch(`https://localhost/emulator/${path}`, { method, body: body && JSON.stringify(body) });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${await answer.text()}`);
}

/** fault sets the faults of an identity; {} ends them. */
const fault = (identity, rules) => demand('PUT', `faults/${identity.path}`, rules);

/** refusedLogin waits for a login to fail, and checks the reason in the log. */
async function refusedLogin(identity, client, reason) {
  await assert.rejects(client.open(), { name: 'UnauthorizedError' });
  // The SDK throws UnauthorizedError for a missing hub, too.
  const last = hub.emulator.linesAbout(identity.name).at(-1);
  assert.equal(last?.message, 'login refused');
  assert.match(last.error, reason);
}

/** logins counts the logins of an identity so far. */
const logins = (identity) => hub.emulator.linesAbout(identity.name)
  .filter(({ message }) => message === 'client logged in').length;

/** reached checks that calls, patches and twin answers arrive. The identity answers the method echo. */
async function reached(identity, watch, mark) {
  assert.deepEqual(await identity.call('echo', mark), { status: 200, payload: mark });
  await report(watch.twin, { mark });
  const before = watch.patches.length;
  const $version = await identity.desire({ mark });
  assert.deepEqual((await watch.has(before + 1)).slice(before), [{ mark, $version }]);
  assert.equal((await identity.twin()).properties.reported.mark, mark);
}

/**
 * granted collects the SUBACK codes that client receives from now on. It reads
 * them below the SDK, which treats a refused subscription as granted.
 */
function granted(client) {
  const codes = [];
  client._transport._mqtt._mqttClient.on('packetreceive', (packet) => {
    if (packet.cmd === 'suback') codes.push(...packet.granted);
  });
  return codes;
}

/** disconnected stops client's retries and waits until it loses its connection. Call it before that. */
async function disconnected(client) {
  client.setRetryPolicy(new NoRetry());
  await once(client, 'disconnect');
}

/** eventually calls ask until it returns wanted, and fails after 15 s. */
async function eventually(ask, wanted) {
  const end = performance.now() + 15_000;
  let answer;
  do {
    answer = await ask();
    if (answer === wanted) return;
    await sleep(50);
  } while (performance.now() < end);
  assert.equal(answer, wanted);
}

module.exports = {
  Identity,
  Watch,
  demand,
  disconnected,
  echo,
  eventually,
  fault,
  granted,
  kinds,
  logins,
  makeIdentity,
  onMethod,
  overBoth,
  reached,
  refusedLogin,
  report,
  telemetry,
  transports,
};
