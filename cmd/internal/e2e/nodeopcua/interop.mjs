// An OPC UA client that shares no code with this project's server, and what it finds when it uses it.
//
//   node interop.mjs opc.tcp://host:port [opc.tcp://other:port]
//
// Environment: UA_USER and UA_PASSWORD of a user who may write, UA_PROJECT (the folder under Objects), UA_PKI (a
// directory for the client's certificate), UA_TRUSTED (directories of the servers' trust lists, separated by colons,
// into which the client's certificate is put), UA_WRITE (a node to write its own value to; default: the first writable),
// UA_CONTROL (the control port of the simulated plant, by which an alarm is raised; without it that check is left out),
// UA_POINT, UA_CONDITION (the point to force and the condition it raises).
//
// Each check prints one line of JSON {name, ok, detail}. The exit code is 0 only if all are ok.

import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OPCUACertificateManager } from "node-opcua-certificate-manager";
import * as opcua from "node-opcua-client";

const {
  AttributeIds, BrowseDirection, DataType, MessageSecurityMode, OPCUAClient, SecurityPolicy, StatusCodes,
  TimestampsToReturn, UserTokenType,
} = opcua;

const urls = process.argv.slice(2);
const user = { type: UserTokenType.UserName, userName: process.env.UA_USER ?? "operator", password: process.env.UA_PASSWORD ?? "" };
const project = process.env.UA_PROJECT ?? "waterworks";
const pki = process.env.UA_PKI ?? mkdtempSync(join(tmpdir(), "ua-"));
const itemsWanted = 1000;
const watchSeconds = 5;
let failures = 0;

function report(name, ok, detail = "") {
  if (!ok) failures++;
  console.log(JSON.stringify({ name, ok, detail: String(detail) }));
}

async function check(name, body) {
  try {
    report(name, true, (await body()) ?? "");
  } catch (err) {
    report(name, false, err?.stack ?? err);
  }
}

function expect(condition, message) {
  if (!condition) throw new Error(message);
}

const certificates = new OPCUACertificateManager({ automaticallyAcceptUnknownCertificate: true, rootFolder: pki });
await certificates.initialize();
const certificateFile = join(pki, "client.pem");
await certificates.createSelfSignedCertificate({
  applicationUri: "urn:interop", subject: "/CN=interop", dns: ["localhost"], startDate: new Date(Date.now() - 3600e3), validity: 30, outputFile: certificateFile,
});
const der = Buffer.from(readFileSync(certificateFile, "utf8").replace(/-----[^-]+-----/g, ""), "base64");
for (const dir of (process.env.UA_TRUSTED ?? "").split(":").filter(Boolean)) writeFileSync(join(dir, "interop.der"), der);

function newClient(options = {}) {
  return OPCUAClient.create({
    applicationUri: "urn:interop", applicationName: "interop", clientCertificateManager: certificates, certificateFile,
    privateKeyFile: certificates.privateKey, endpointMustExist: false, connectionStrategy: { maxRetry: 0 }, ...options,
  });
}

// With a client and a session for as long as body takes.
async function session(url, identity, options, body) {
  const client = newClient(options);
  await client.connect(url);
  try {
    const s = await client.createSession(identity);
    try {
      return await body(s, client);
    } finally {
      await s.close();
    }
  } finally {
    await client.disconnect();
  }
}

// All variables below a node, in the order they are found, by pages of 500 references.
async function variablesBelow(s, root) {
  const found = [];
  for (const queue = [root]; queue.length > 0; ) {
    const nodeId = queue.shift();
    let result = await s.browse({ nodeId, browseDirection: BrowseDirection.Forward, referenceTypeId: "HierarchicalReferences", includeSubtypes: true, resultMask: 63 });
    for (;;) {
      expect(result.statusCode.isGood(), `browse ${nodeId}: ${result.statusCode}`);
      for (const ref of result.references ?? []) {
        if (ref.nodeClass === 1) queue.push(ref.nodeId);
        if (ref.nodeClass === 2) found.push(ref.nodeId.toString());
      }
      if (!result.continuationPoint?.length) break;
      result = await s.browseNext(result.continuationPoint, false);
    }
  }
  return found;
}

async function projectFolder(s) {
  const result = await s.browse({ nodeId: "ObjectsFolder", browseDirection: BrowseDirection.Forward, referenceTypeId: "Organizes", includeSubtypes: true, resultMask: 63 });
  const folder = result.references.find((r) => r.browseName.name === project);
  expect(folder, `no ${project} under Objects`);
  return folder.nodeId.toString();
}

async function readAll(s, nodes, attributeId = AttributeIds.Value) {
  const values = [];
  for (let i = 0; i < nodes.length; i += 1000) values.push(...(await s.read(nodes.slice(i, i + 1000).map((nodeId) => ({ nodeId, attributeId })))));
  return values;
}

async function level(url) {
  return session(url, undefined, {}, async (s) => (await s.read({ nodeId: "i=2267", attributeId: AttributeIds.Value })).value.value);
}

const found = new Map();

for (const url of urls) {
  await check(`${url} browse`, () =>
    session(url, undefined, { requestedMaxReferencesPerNode: 500 }, async (s) => {
      found.set(url, await variablesBelow(s, await projectFolder(s)));
      expect(found.get(url).length > 0, "no variables");
      return `${found.get(url).length} variables`;
    }));
  await check(`${url} read`, () =>
    session(url, undefined, {}, async (s) => {
      const values = await readAll(s, found.get(url));
      const refused = values.filter((v) => v.statusCode.name === "BadNodeIdUnknown" || v.statusCode.name === "BadAttributeIdInvalid");
      expect(refused.length === 0 && values.length === found.get(url).length, `${values.length} values, ${refused.length} refused`);
      const good = values.filter((v) => v.statusCode.isGood()).length;
      expect(good > 0, "none is good");
      return `${values.length} values, ${good} good`;
    }));
  await check(`${url} ServiceLevel and redundancy`, () =>
    session(url, undefined, {}, async (s) => {
      const [service, support, uris, state] = await readAll(s, ["i=2267", "i=3709", "i=11314", "i=2259"]);
      expect(service.statusCode.isGood() && service.value.value > 0, `ServiceLevel ${service}`);
      expect(support.statusCode.isGood() && support.value.value === (urls.length > 1 ? 2 : support.value.value), `RedundancySupport ${support}`);
      expect(urls.length < 2 || uris.value.value.length === 2, `ServerUriArray ${uris}`);
      expect(state.value.value === 0, `state ${state}`);
      return `${service.value.value}, ${support.value.value}, ${uris.value?.value}`;
    }));
  await check(`${url} FindServers and GetEndpoints`, async () => {
    const client = newClient();
    await client.connect(url);
    try {
      const servers = await client.findServers();
      const endpoints = await client.getEndpoints();
      expect(servers.length >= urls.length, `${servers.length} servers`);
      expect(endpoints.every((e) => e.endpointUrl === url), endpoints.map((e) => e.endpointUrl));
      return `${servers.length} servers, ${endpoints.length} endpoints`;
    } finally {
      await client.disconnect();
    }
  });
}

if (urls.length > 1) {
  await check("equal node ids on both nodes", () => {
    const [a, b] = urls.map((u) => [...found.get(u)].sort().join("\n"));
    expect(a === b, "they differ");
  });
}

// The rest is asked of the node clients would choose.
let best = urls[0];
for (const url of urls) if ((await level(url).catch(() => 0)) > (await level(best).catch(() => 0))) best = url;
const variables = found.get(best) ?? [];

async function writable(s) {
  if (process.env.UA_WRITE) return process.env.UA_WRITE;
  const access = await readAll(s, variables, AttributeIds.UserAccessLevel);
  const values = await readAll(s, variables);
  const i = access.findIndex((a, i) => (a.value.value & 2) !== 0 && values[i].statusCode.isGood() && values[i].value.dataType !== DataType.String);
  expect(i >= 0, "nothing is writable");
  return variables[i];
}

async function write(s, nodeId, value) {
  return (await s.write({ nodeId, attributeId: AttributeIds.Value, value: { value } })).name;
}

await check("write", () =>
  session(best, user, {}, async (s) => {
    const nodeId = await writable(s);
    const now = await s.read({ nodeId, attributeId: AttributeIds.Value });
    const status = await write(s, nodeId, now.value);
    expect(status === "Good", `${nodeId}: ${status}`);
    return `${nodeId} = ${now.value.value}`;
  }));
await check("write of a wrong type", () =>
  session(best, user, {}, async (s) => {
    const status = await write(s, await writable(s), { dataType: DataType.String, value: "text" });
    expect(status === "BadTypeMismatch", status);
  }));
await check("write without a user", async () => {
  const nodeId = await session(best, user, {}, writable);
  await session(best, undefined, {}, async (s) => {
    const status = await write(s, nodeId, (await s.read({ nodeId, attributeId: AttributeIds.Value })).value);
    expect(status === "BadUserAccessDenied", status);
  });
});
await check("wrong password", async () => {
  try {
    await session(best, { ...user, password: `${user.password}x` }, {}, () => {});
  } catch (err) {
    expect(/BadUserAccessDenied/.test(err.message), err.message);
    return "BadUserAccessDenied";
  }
  throw new Error("it was accepted");
});

async function subscribe(s, interval) {
  return s.createSubscription2({ requestedPublishingInterval: interval, requestedLifetimeCount: 1000, requestedMaxKeepAliveCount: 10, maxNotificationsPerPublish: 0, publishingEnabled: true, priority: 1 });
}

await check("an unknown node is not monitored", () =>
  session(best, undefined, {}, async (s) => {
    const sub = await subscribe(s, 100);
    const { createMonitoredItems } = s;
    const { results } = await createMonitoredItems.call(s, {
      subscriptionId: sub.subscriptionId, timestampsToReturn: TimestampsToReturn.Both,
      itemsToCreate: [{ itemToMonitor: { nodeId: "ns=2;s=no/such/tag", attributeId: AttributeIds.Value }, monitoringMode: 2, requestedParameters: { clientHandle: 1, samplingInterval: 100, queueSize: 1 } }],
    });
    await sub.terminate();
    expect(results[0].statusCode.name === "BadNodeIdUnknown", results[0].statusCode);
  }));

await check(`${itemsWanted} items for ${watchSeconds} s`, () =>
  session(best, undefined, {}, async (s) => {
    const sub = await subscribe(s, 100);
    const sequence = [];
    const seen = new Set();
    let values = 0;
    sub.on("raw_notification", (n) => {
      if (!n.notificationData?.length) return;
      sequence.push(n.sequenceNumber);
      for (const d of n.notificationData)
        for (const it of d.monitoredItems ?? []) {
          values++;
          seen.add(it.clientHandle);
        }
    });
    const nodes = Array.from({ length: itemsWanted }, (_, i) => variables[i % variables.length]);
    const group = await sub.monitorItems(nodes.map((nodeId) => ({ nodeId, attributeId: AttributeIds.Value })), { samplingInterval: 100, queueSize: 10, discardOldest: true }, TimestampsToReturn.Both);
    const refused = group.monitoredItems.filter((m) => m.statusCode !== StatusCodes.Good).length;
    await new Promise((done) => setTimeout(done, watchSeconds * 1000));
    await sub.terminate();
    expect(refused === 0, `${refused} items refused`);
    expect(seen.size === itemsWanted, `${seen.size} of ${itemsWanted} items reported`);
    const gap = sequence.findIndex((n, i) => i > 0 && n !== sequence[i - 1] + 1);
    expect(gap < 0, `messages ${sequence[gap - 1]}, ${sequence[gap]}`);
    return `${values} values in ${sequence.length} messages`;
  }));

for (const policy of ["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"]) {
  await check(`secure session ${policy}`, () =>
    session(best, user, { securityMode: MessageSecurityMode.SignAndEncrypt, securityPolicy: SecurityPolicy[policy] }, async (s) => {
      const values = await readAll(s, variables);
      return `${values.length} values`;
    }));
}

await check("keys renewed three times under a subscription", () =>
  session(best, user, { securityMode: MessageSecurityMode.SignAndEncrypt, securityPolicy: SecurityPolicy.Basic256Sha256, defaultSecureTokenLifetime: 2000 }, async (s, client) => {
    let renewals = 0;
    let broken = 0;
    client.on("security_token_renewed", () => renewals++);
    client.on("connection_lost", () => broken++);
    const sub = await subscribe(s, 100);
    let messages = 0;
    sub.on("raw_notification", () => messages++);
    await sub.monitor({ nodeId: "i=2258", attributeId: AttributeIds.Value }, { samplingInterval: 100, queueSize: 10, discardOldest: true }, TimestampsToReturn.Both);
    for (let i = 0; i < 80 && renewals < 3; i++) {
      await s.read({ nodeId: "i=2258", attributeId: AttributeIds.Value });
      await new Promise((done) => setTimeout(done, 100));
    }
    const before = messages;
    await new Promise((done) => setTimeout(done, 1000));
    await sub.terminate();
    expect(renewals >= 3 && broken === 0, `${renewals} renewals, ${broken} breaks`);
    expect(messages > before, "no notification after the renewals");
    return `${renewals} renewals, ${messages} messages`;
  }));

const at = Date.now(); // once: a span that is a millisecond longer has an interval more
const newest = { startTime: new Date(at - 60e3), endTime: new Date(at) };

await check("HistoryRead raw", () =>
  session(best, undefined, {}, async (s) => {
    const access = await readAll(s, variables, AttributeIds.AccessLevel);
    const recorded = variables.filter((_, i) => (access[i].value.value & 4) !== 0);
    expect(recorded.length > 0, "no tag has a history");
    const results = await s.readHistoryValue(recorded.slice(0, 100).map((nodeId) => ({ nodeId })), newest.startTime, newest.endTime, { numValuesPerNode: 50, returnBounds: false });
    const refused = results.filter((r) => r.statusCode.isBad());
    const values = results.reduce((n, r) => n + (r.historyData?.dataValues?.length ?? 0), 0);
    expect(refused.length === 0 && values > 0, `${refused.length} of ${results.length} refused (${refused[0]?.statusCode}), ${values} values`);
    for (const r of results) {
      const times = (r.historyData?.dataValues ?? []).map((v) => v.sourceTimestamp.getTime());
      expect(times.every((t, i) => i === 0 || t >= times[i - 1]), "not in order of time");
    }
    return `${values} values of ${results.length} tags`;
  }));

await check("HistoryRead processed", () =>
  session(best, undefined, {}, async (s) => {
    const types = await readAll(s, variables, AttributeIds.DataType);
    const nodeId = variables.find((_, i) => types[i].value?.value?.value === 11 || types[i].value?.value?.value === 10);
    expect(nodeId, "no number");
    const details = {};
    for (const [name, fn] of [["average", 2342], ["minimum", 2346], ["maximum", 2347], ["count", 2352]]) {
      const r = await s.readAggregateValue({ nodeId }, newest.startTime, newest.endTime, fn, 20e3);
      const values = r.historyData?.dataValues ?? [];
      expect(r.statusCode.isGood() && values.length === 3, `${name}: ${r.statusCode}, ${values.length} values`);
      details[name] = values[2].value?.value;
    }
    const fault = await s.readAggregateValue({ nodeId }, newest.startTime, newest.endTime, 2351, 20e3);
    expect(fault.statusCode.name === "BadAggregateNotSupported", `annotation count: ${fault.statusCode}`);
    return `${nodeId}: ${JSON.stringify(details)}`;
  }));

if (process.env.UA_CONTROL) {
  await check("an alarm is received, refreshed and acknowledged", () => session(best, user, {}, followAlarm));
}

// A session's events, by the names of their fields.
async function listen(s) {
  const names = ["EventId", "EventType", "ConditionName", "SourceName", "Message", "Severity", "Retain", "ActiveState.Id", "AckedState.Id", "Comment"];
  const filter = opcua.constructEventFilter(names);
  filter.selectClauses.push(new opcua.SimpleAttributeOperand({ typeDefinition: "i=2782", browsePath: [], attributeId: AttributeIds.NodeId }));
  const events = [];
  const sub = await subscribe(s, 100);
  const item = await sub.monitor({ nodeId: "i=2253", attributeId: AttributeIds.EventNotifier }, { filter, queueSize: 1000, discardOldest: true, samplingInterval: 0 }, TimestampsToReturn.Both);
  item.on("changed", (fields) => events.push(Object.fromEntries([...names, "ConditionId"].map((n, i) => [n, fields[i].value]))));
  const wait = async (what, match) => {
    for (let i = 0; i < 200; i++) {
      const found = events.find(match);
      if (found) return found;
      await new Promise((done) => setTimeout(done, 50));
    }
    throw new Error(`no event: ${what}; got ${JSON.stringify(events)}`);
  };
  const refresh = async (match) => {
    events.length = 0;
    const result = await s.call({ objectId: "i=2782", methodId: "i=3875", inputArguments: [{ dataType: DataType.UInt32, value: sub.subscriptionId }] });
    expect(result.statusCode.isGood(), `refresh: ${result.statusCode}`);
    const found = await wait("refreshed", match);
    await wait("end of the refresh", (e) => e.EventType?.value === 2788);
    return found;
  };
  return { wait, refresh, end: () => sub.terminate() };
}

// Raises an alarm in the simulated plant, waits for its event, has it refreshed on every node, acknowledges it on the
// one that is not active, if there is one, and ends it.
async function followAlarm(s) {
  const point = process.env.UA_POINT ?? "intake/flooded";
  const condition = process.env.UA_CONDITION ?? "intake-flooded";
  const force = (value) => fetch(`${process.env.UA_CONTROL}/points`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ name: point, value }) });
  const mine = (e) => e.ConditionName === condition;
  const here = await listen(s);
  let raised;
  try {
    expect((await force(1)).ok, "the plant does not take the value");
    raised = await here.wait("raised", (e) => mine(e) && e["ActiveState.Id"] === true);
    expect(raised["AckedState.Id"] === false && raised.Retain === true && raised.EventId.length === 16, JSON.stringify(raised));
    expect((await here.refresh(mine)).EventId.equals(raised.EventId), "another EventId after the refresh");
    await session(urls.find((u) => u !== best) ?? best, user, {}, async (there) => {
      const listener = await listen(there);
      const same = await listener.refresh(mine);
      expect(same.EventId.equals(raised.EventId), "another EventId on the other node");
      const status = await there.acknowledgeCondition(same.ConditionId, same.EventId, "seen by interop");
      expect(status.isGood(), `acknowledge: ${status}`);
      await listener.wait("acknowledged there", (e) => mine(e) && e["AckedState.Id"] === true);
      await listener.end();
    });
    const acked = await here.wait("acknowledged", (e) => mine(e) && e["AckedState.Id"] === true);
    expect(acked.Comment.text === "seen by interop", JSON.stringify(acked));
    const twice = await s.acknowledgeCondition(raised.ConditionId, raised.EventId, "again");
    expect(twice.name === "BadConditionBranchAlreadyAcked", `acknowledged twice: ${twice}`);
  } finally {
    await force(0);
  }
  await here.wait("gone", (e) => mine(e) && e["ActiveState.Id"] === false && e.Retain === false);
  await here.end();
  return `${condition}, severity ${raised.Severity}`;
}

process.exit(failures === 0 && urls.length > 0 ? 0 : 1);
