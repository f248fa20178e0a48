// An OPC UA device that shares no code with this project: folder Plant with variables v0 … v(n-1), all of which hold the
// time of their last change in milliseconds since 1970, so that whoever reads them sees how old they are.
//
//   node device.mjs PORT PKI-FOLDER VARIABLES EVERY-MS [NODES [HISTORY]]
//
// NODES is how many nodes it takes in one request; 0 or nothing is any number. HISTORY is how many values of each variable
// but the last it remembers, for clients that read history; 0 or nothing is none.
//
// It prints "ready" when it listens. Its certificate is made in the folder when it has none.

import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { OPCUACertificateManager } = require("node-opcua-certificate-manager");
const { makeAccessLevelFlag } = require("node-opcua-data-model");
const { nodesets } = require("node-opcua-nodesets");
const { OPCUAServer } = require("node-opcua-server");
const { DataType } = require("node-opcua-variant");

const [port, pki, count, every, nodes, history] = process.argv.slice(2);
const limits = { maxNodesPerRead: Number(nodes), maxNodesPerBrowse: Number(nodes), maxMonitoredItemsPerCall: Number(nodes) };
const certificates = new OPCUACertificateManager({ rootFolder: pki, automaticallyAcceptUnknownCertificate: true });
const server = new OPCUAServer({
  port: Number(port),
  host: "127.0.0.1",
  hostname: "127.0.0.1",
  nodeset_filename: [nodesets.standard],
  allowAnonymous: true,
  serverCertificateManager: certificates,
  userCertificateManager: certificates,
  serverInfo: { applicationUri: "urn:other:device" },
  serverCapabilities: { maxSessions: 20, operationLimits: Number(nodes) > 0 ? limits : {} },
  capabilitiesForMDNS: [],
});
await server.initialize();
const space = server.engine.addressSpace.getOwnNamespace();
const plant = space.addFolder(server.engine.addressSpace.rootFolder.objects, { browseName: "Plant" });
const variables = [];
for (let i = 0; i < Number(count); i++) {
  variables.push(space.addVariable({
    componentOf: plant, browseName: `v${i}`, nodeId: `s=v${i}`, dataType: "Double", minimumSamplingInterval: 50,
    value: { dataType: DataType.Double, value: Date.now() },
  }));
}
if (Number(history) > 0) {
  for (const v of variables.slice(0, -1)) {
    v.historizing = true;
    v.accessLevel = makeAccessLevelFlag("CurrentRead | HistoryRead");
    v.userAccessLevel = v.accessLevel;
    server.engine.addressSpace.installHistoricalDataNode(v, { maxOnlineValues: Number(history) });
  }
}
setInterval(() => {
  const now = Date.now();
  for (const v of variables) v.setValueFromSource({ dataType: DataType.Double, value: now });
}, Number(every));
await server.start();
console.log("ready");
