'use strict';

// Modules as IoT Edge starts them: they have only their environment.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { ModuleClient } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { emulator, newID } = require('../hub');
const { makeCertificate } = require('./certificates');
const { Identity, Watch, demand, echo, eventually, overBoth } = require('./clients');
const {
  deleteEdgeDevice, edgeDevice, environment, gateway, makeEdgeDevice, makeEdgeModule,
} = require('./edgedevice');

/** withEnvironment calls make while the variables are set. The SDK reads them in that call. */
function withEnvironment(variables, make) {
  Object.assign(process.env, variables);
  try {
    return make();
  } finally {
    for (const name of Object.keys(variables)) delete process.env[name];
  }
}

const fromEnvironment = async (identity, variables, transport) => identity.own(
  await withEnvironment(variables, () => ModuleClient.fromEnvironment(transport)),
);

/** works opens client and checks that calls and patches reach the module. */
async function works(identity, client) {
  await client.open();
  echo(client);
  assert.deepEqual(await identity.call('echo', { a: 1 }), { status: 200, payload: { a: 1 } });
  const watch = await Watch.of(client);
  const $version = await identity.desire({ b: 2 });
  assert.deepEqual(await watch.has(1), [{ b: 2, $version }]);
}

overBoth('a module on an edge device', (transport) => {
  before(makeEdgeDevice);
  after(deleteEdgeDevice);

  test('logs in by a signature of the workload API, over its unix socket', async (t) => {
    const { identity, read } = await makeEdgeModule(t);
    await works(identity, await fromEnvironment(identity, environment(identity, read), transport));
  });

  test('or over HTTP', async (t) => {
    const { identity, read } = await makeEdgeModule(t);
    const changes = { IOTEDGE_WORKLOADURI: emulator.lines.WORKLOAD_HTTP_URI };
    await works(identity, await fromEnvironment(identity, environment(identity, read, changes), transport));
  });

  test('connects by the name of the gateway, and announces its model', async (t) => {
    const { identity, read } = await makeEdgeModule(t);
    const client = await fromEnvironment(identity, environment(identity, read, { IOTEDGE_GATEWAYHOSTNAME: gateway }), transport);
    // These options replace the trust bundle.
    await client.setOptions({ modelId: 'dtmi:com:example:Thing;1', ca: fs.readFileSync(emulator.lines.CA_FILE, 'utf8') });
    await works(identity, client);
    assert.equal((await identity.twin()).modelId, 'dtmi:com:example:Thing;1');
  });

  test('may be a program that trusts only the trust bundle', async (t) => {
    const { identity, read } = await makeEdgeModule(t);
    const { PATH } = process.env;
    const program = spawn(process.execPath, [path.join(__dirname, 'program.js'), transport.name], {
      env: { PATH, ...environment(identity, read, { IOTEDGE_GATEWAYHOSTNAME: gateway }) }, stdio: 'inherit',
    });
    t.after(() => program.kill('SIGKILL'));
    assert.deepEqual(await identity.call('echo', 1), { status: 200, payload: 1 });
    await identity.desire({ mark: 2 });
    await eventually(async () => (await identity.twin()).properties.reported.mark, 2);
  });

  test('gets no signature if the device has no such module', async (t) => {
    const { read } = await makeEdgeModule(t);
    const unknown = new Identity({ deviceId: edgeDevice, moduleId: newID() });
    const client = await fromEnvironment(unknown, environment(unknown, read), transport);
    await assert.rejects(client.open(), ({ responseBody }) => /module not found/.test(responseBody));
  });

  test('may have a connection string and a file of authorities instead', async (t) => {
    const { identity } = await makeEdgeModule(t);
    await works(identity, await fromEnvironment(identity, {
      EdgeHubConnectionString: identity.connectionString({ GatewayHostName: gateway }),
      EdgeModuleCACertificateFile: emulator.lines.CA_FILE,
    }, transport));
  });

  test('trusts the authorities of that file only', async (t) => {
    const { identity } = await makeEdgeModule(t);
    const client = await fromEnvironment(identity, {
      EdgeHubConnectionString: identity.connectionString({ GatewayHostName: gateway }),
      EdgeModuleCACertificateFile: makeCertificate('another authority').certFile,
    }, transport);
    await assert.rejects(client.open(), /certificate|self.signed/i);
  });

  test('or a connection string alone', async (t) => {
    const { identity } = await makeEdgeModule(t);
    await works(identity, await fromEnvironment(identity, { IotHubConnectionString: identity.connectionString() }, transport));
  });
});

for (const uri of ['WORKLOAD_URI', 'WORKLOAD_HTTP_URI']) {
  test(`a module waits for the workload API at ${uri} to come back`, { timeout: 60_000 }, async (t) => {
    t.after(() => demand('DELETE', 'faults'));
    await makeEdgeDevice();
    const { identity, read } = await makeEdgeModule(t);
    t.after(deleteEdgeDevice);
    const variables = environment(identity, read, { IOTEDGE_WORKLOADURI: emulator.lines[uri] });

    await demand('PUT', 'faults', { workload: { down: true } });
    await assert.rejects(fromEnvironment(identity, variables, Mqtt), { code: 'ECONNRESET' });
    for (const status of [403, 500]) {
      await demand('PUT', 'faults', { workload: { status } });
      await assert.rejects(fromEnvironment(identity, variables, Mqtt), (err) => err.response.statusCode === status);
    }
    await demand('PUT', 'faults', { workload: { delaySeconds: 1 } });
    const begin = performance.now();
    const client = await fromEnvironment(identity, variables, Mqtt);
    assert.ok(performance.now() - begin >= 990);

    await demand('PUT', 'faults', { workload: { status: 500 } });
    const opening = client.open(); // the SDK retries after this error
    const refusals = () => emulator.log().split('"component":"workload"').length;
    const before = refusals();
    await eventually(() => refusals() > before + 1, true);
    await demand('DELETE', 'faults');
    await opening;
    await works(identity, client);
  });
}
