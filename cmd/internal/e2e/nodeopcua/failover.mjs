// An OPC UA client that knows one address and what OPC 10000-4, 6.6.2 says of redundant servers, and nothing else of
// this project.
//
//   node failover.mjs opc.tcp://host:port NODE-ID [EVENT-FIELD-OF-INTEREST]
//
// It finds the other server by ServerUriArray and FindServers, keeps a session with both, and takes the values of
// NODE-ID and the events of the Server object from the one with the higher ServiceLevel: at RedundancySupport Warm the
// items at the other one are disabled, at Hot they sample and do not report. When it moves, it asks for a refresh of the
// conditions. It prints what it sees as lines of JSON with the time of arrival in ms, and ends with its standard input.

import * as opcua from "node-opcua-client";

const { AttributeIds, DataType, MonitoringMode, OPCUAClient, TimestampsToReturn } = opcua;
const [first, nodeId] = process.argv.slice(2);
const names = ["EventId", "EventType", "ConditionName", "ActiveState.Id", "AckedState.Id", "Retain", "Time"];
const good = 200; // a server at this level or above is not left (OPC 10000-4, 6.6.2.4.2)

function say(kind, fields) {
  console.log(JSON.stringify({ kind, at: Date.now(), ...fields }));
}

// With a client for as long as body takes; for what needs no session.
async function ask(url, body) {
  const client = OPCUAClient.create({ endpointMustExist: false, connectionStrategy: { maxRetry: 0 } });
  await client.connect(url);
  try {
    return await body(client);
  } finally {
    await client.disconnect();
  }
}

class Server {
  constructor(uri, url) {
    Object.assign(this, { uri, url, level: 0, up: false, active: false });
  }

  // Connects, again and again, until it has a session and its items.
  async run() {
    for (;;) {
      try {
        await this.open();
        await this.ended;
      } catch (err) {
        say("refused", { server: this.uri, error: String(err?.message ?? err) });
      }
      this.down("connection ended");
      await this.client?.disconnect().catch(() => {});
      await new Promise((done) => setTimeout(done, 250));
    }
  }

  async open() {
    this.client = OPCUAClient.create({
      endpointMustExist: false, keepSessionAlive: false, transportTimeout: 2000, requestedSessionTimeout: 30e3, connectionStrategy: { maxRetry: 0, initialDelay: 100 },
    });
    this.ended = new Promise((done) => {
      for (const what of ["connection_lost", "close", "abort", "timed_out_request"]) this.client.on(what, () => (this.down(what), done()));
    });
    await this.client.connect(this.url);
    this.session = await this.client.createSession();
    this.sub = await this.session.createSubscription2({
      requestedPublishingInterval: 100, requestedLifetimeCount: 100, requestedMaxKeepAliveCount: 5, maxNotificationsPerPublish: 0, publishingEnabled: true, priority: 1,
    });
    const support = await this.session.read({ nodeId: "i=3709", attributeId: AttributeIds.Value });
    this.idle = support.value.value === 3 ? MonitoringMode.Sampling : MonitoringMode.Disabled;
    await this.monitorValue();
    await this.monitorEvents();
    await this.follow();
  }

  async monitorValue() {
    this.value = await this.sub.monitor({ nodeId, attributeId: AttributeIds.Value }, { samplingInterval: 0, queueSize: 100, discardOldest: true }, TimestampsToReturn.Both, this.idle);
    if (this.value.statusCode?.isBad?.()) throw new Error(`${nodeId}: ${this.value.statusCode}`);
    this.value.on("changed", (v) => say("value", { server: this.uri, value: v.value?.value, status: v.statusCode.name, time: v.sourceTimestamp?.getTime(), overflow: v.statusCode.hasOverflowBit }));
  }

  async monitorEvents() {
    const filter = opcua.constructEventFilter(names);
    this.events = await this.sub.monitor({ nodeId: "i=2253", attributeId: AttributeIds.EventNotifier }, { filter, queueSize: 1000, discardOldest: true, samplingInterval: 0 }, TimestampsToReturn.Both, this.idle);
    this.events.on("changed", (fields) => {
      const [id, type, condition, active, acked, retain, time] = fields.map((f) => f.value);
      if (type?.value === 2787) this.refreshing = true;
      else if (type?.value === 2788) this.refreshing = false;
      else say("event", { server: this.uri, id: id?.toString("hex"), type: type?.toString(), condition, active, acked, retain, time: time?.getTime(), refreshed: Boolean(this.refreshing) });
    });
  }

  // Follows the ServiceLevel.
  async follow() {
    const item = await this.sub.monitor({ nodeId: "i=2267", attributeId: AttributeIds.Value }, { samplingInterval: 100, queueSize: 10, discardOldest: true }, TimestampsToReturn.Both);
    item.on("changed", (v) => {
      this.level = v.value.value;
      this.up = true;
      say("level", { server: this.uri, level: this.level });
      choose("ServiceLevel");
    });
  }

  down(why) {
    if (!this.up) return;
    Object.assign(this, { up: false, active: false, level: 0 });
    say("down", { server: this.uri, why });
    choose(why);
  }

  async activate(on) {
    this.active = on;
    const mode = on ? MonitoringMode.Reporting : this.idle;
    await this.session.setMonitoringMode({ subscriptionId: this.sub.subscriptionId, monitoringMode: mode, monitoredItemIds: [this.value.monitoredItemId, this.events.monitoredItemId] });
    if (!on) return;
    const result = await this.session.call({ objectId: "i=2782", methodId: "i=3875", inputArguments: [{ dataType: DataType.UInt32, value: this.sub.subscriptionId }] });
    say("refresh", { server: this.uri, status: result.statusCode.name });
  }
}

const servers = [];
let moving = Promise.resolve();

// Chooses the server to use: the one in use as long as it is healthy, else the one with the highest level.
function choose(reason) {
  const now = servers.find((s) => s.active && s.up);
  if (now && now.level >= good) return;
  const best = servers.filter((s) => s.up).sort((a, b) => b.level - a.level)[0];
  if (!best || best === now || (now && now.level >= best.level)) return;
  say("switch", { from: now?.uri, to: best.uri, level: best.level, reason });
  best.active = true;
  if (now) now.active = false;
  moving = moving.then(async () => {
    try {
      await best.activate(true);
      if (now?.up) await now.activate(false);
      say("moved", { to: best.uri });
    } catch (err) {
      say("failed", { to: best.uri, error: String(err?.message ?? err) });
    }
  });
}

// Finds the servers of the set: those whose ApplicationUri ServerUriArray names.
const uris = await ask(first, async (client) => {
  const session = await client.createSession();
  const uris = (await session.read({ nodeId: "i=11314", attributeId: AttributeIds.Value })).value.value;
  await session.close();
  return uris;
});
const found = await ask(first, (client) => client.findServers());
for (const d of found.filter((d) => uris.includes(d.applicationUri))) servers.push(new Server(d.applicationUri, d.discoveryUrls[0]));
say("found", { servers: servers.map((s) => s.uri) });
for (const s of servers) s.run();
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
