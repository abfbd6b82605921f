'use strict';

// An edge device whose modules have only their environment.

const { emulator, newID, registry } = require('../hub');
const { Identity } = require('./clients');

/** The device whose modules the workload API serves by default. */
const edgeDevice = 'edge1';

const gateway = 'edge.example';

const environment = (identity, { generationId }, changes = {}) => ({
  IOTEDGE_WORKLOADURI: emulator.lines.WORKLOAD_URI,
  IOTEDGE_DEVICEID: edgeDevice,
  IOTEDGE_MODULEID: identity.ids[1],
  IOTEDGE_IOTHUBHOSTNAME: 'localhost',
  IOTEDGE_AUTHSCHEME: 'sasToken',
  IOTEDGE_MODULEGENERATIONID: generationId,
  ...changes,
});

const makeEdgeDevice = () => registry.create({ deviceId: edgeDevice, capabilities: { iotEdge: true } });
const deleteEdgeDevice = () => registry.delete(edgeDevice);

/** makeEdgeModule returns a new module of the edge device, and its entry in the registry. */
async function makeEdgeModule(t) {
  const { responseBody } = await registry.addModule({ deviceId: edgeDevice, moduleId: newID() });
  const identity = new Identity(responseBody);
  t.after(() => identity.close());
  return { identity, read: responseBody };
}

module.exports = {
  deleteEdgeDevice, edgeDevice, environment, gateway, makeEdgeDevice, makeEdgeModule,
};
