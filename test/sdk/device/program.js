'use strict';

// node program.js Mqtt|MqttWs: a module as IoT Edge starts it, without code for
// tests. It answers the method echo and reports its desired properties.

const { ModuleClient } = require('azure-iot-device');
const transports = require('azure-iot-device-mqtt');

async function main() {
  const client = await ModuleClient.fromEnvironment(transports[process.argv[2]]);
  await client.open();
  const twin = await client.getTwin();
  twin.on('properties.desired', ({ mark }) => {
    twin.properties.reported.update({ mark }, (err) => {
      if (err) throw err;
    });
  });
  // Last, so that an answer to echo means that the module also gets patches.
  client.onMethod('echo', (request, response) => response.send(200, request.payload));
}

main();
