// The link against a made-up pair: time is a number, the network is this file.

import assert from "node:assert/strict";
import { test } from "node:test";
import { attemptMs, fencedMs, goneCode, Link, type Action } from "../src/core/link";
import { firstPauseMs, longestPauseMs, pause } from "../src/core/backoff";
import type { Incoming, Welcome } from "../src/core/wire";

const home = "http://a";
const peer = "http://b";

function welcome(server: string, epoch: number, extra: Partial<Welcome> = {}): Welcome {
  return {
    t: "welcome", server, instance: server + "1", epoch, seq: 100, hb_ms: 1000, time: "", user: "olga", role: "operator", permissions: [],
    roles: { main: { role: "active", epoch, confirmed: true } }, peers: [server === "a" ? peer : home], recovered: false, plant: "1", qualities: {}, ...extra,
  };
}

/** newer makes the page know an epoch that the server on connection 1 will not repeat: it came by a heartbeat. */
const newer = (l: Link, epoch: number): void => {
  l.message(50, 1, beat(epoch));
};

const beat = (epoch: number): Incoming => ({ t: "hb", time: "", seq: 101, epoch, roles: {}, lag_ms: 1, ready: true });
const frame = (epoch: number, seq = 101, more = false) => ({ frame: 1, seq, epoch, more });
const kinds = (actions: readonly Action[]): string[] => actions.map((a) => (a.do === "open" ? `open ${a.origin}` : a.do));

/** connected is a link that is live at time 0 on connection 1. */
function connected(epoch = 7): Link {
  const l = new Link(home, () => 0);
  assert.deepEqual(kinds(l.start(0)), ["open http://a"]);
  assert.deepEqual(kinds(l.opened(0, 1)), ["hello"]);
  assert.deepEqual(kinds(l.message(0, 1, welcome("a", epoch))), ["live"]);
  assert.equal(l.live, true);
  return l;
}

test("a silent server is given up after 2.5 heartbeats and the peer is tried at once", () => {
  const l = connected();
  l.message(900, 1, beat(7));
  assert.equal(l.deadline(), 3400);
  assert.deepEqual(l.tick(3399), []);
  assert.deepEqual(kinds(l.tick(3400)), ["close", "lost", "open http://b"]);
});

test("a closed socket is a loss at once", () => {
  const l = connected();
  assert.deepEqual(kinds(l.closed(10, 1, 1006)), ["lost", "open http://b"]);
  assert.equal(l.live, false);
});

test("both servers are tried without a pause, then in turn with pauses", () => {
  const l = connected();
  l.closed(0, 1, 1006);
  assert.deepEqual(kinds(l.closed(1, 2, 1006)), ["open http://a"]);
  assert.deepEqual(kinds(l.closed(2, 3, 1006)), []);
  assert.equal(l.deadline(), 2 + firstPauseMs / 2);
  assert.deepEqual(kinds(l.tick(1000)), ["open http://b"]);
  l.closed(1000, 4, 1006);
  assert.equal(l.deadline(), 1000 + firstPauseMs);
  assert.deepEqual(kinds(l.tick(5000)), ["open http://a"]);
});

test("a server that accepts and says nothing is left after the time of an attempt", () => {
  const l = connected();
  l.closed(0, 1, 1006);
  assert.equal(l.deadline(), attemptMs);
  assert.deepEqual(kinds(l.tick(attemptMs)), ["close", "open http://a"]);
});

test("events of an old connection change nothing", () => {
  const l = connected();
  l.closed(0, 1, 1006);
  assert.deepEqual(l.closed(1, 1, 1006), []);
  assert.deepEqual(l.message(1, 1, welcome("a", 9)), []);
  assert.deepEqual(l.frame(1, 1, frame(9)), { accept: false, actions: [] });
  assert.equal(l.epoch, 7);
});

test("frames are acknowledged and shown", () => {
  const l = connected();
  const r = l.frame(5, 1, frame(7));
  assert.equal(r.accept, true);
  assert.deepEqual(r.actions, [{ do: "send", conn: 1, message: { t: "ack", frame: 1 } }]);
});

test("an older epoch fences: frames are acknowledged but not shown, and the page leaves for the peer", () => {
  const l = connected();
  newer(l, 8);
  const r = l.frame(100, 1, frame(7));
  assert.equal(r.accept, false);
  assert.deepEqual(kinds(r.actions), ["send"]);
  assert.equal(l.live, false);
  assert.equal(l.deadline(), 100 + fencedMs);
  assert.deepEqual(kinds(l.tick(100 + fencedMs)), ["close", "lost", "open http://b"]);
});

test("a server that catches up is asked for a fresh picture before its values count", () => {
  const l = connected();
  newer(l, 8);
  l.frame(100, 1, frame(7));
  assert.deepEqual(kinds(l.message(200, 1, beat(8))), ["resync"]);
  assert.equal(l.live, true);
  assert.equal(l.frame(210, 1, frame(8)).accept, true);
});

test("a frame that lifts the fence is itself not shown: the changes before it are missing", () => {
  const l = connected();
  newer(l, 8);
  l.frame(100, 1, frame(7));
  const r = l.frame(110, 1, frame(8));
  assert.equal(r.accept, false);
  assert.deepEqual(kinds(r.actions).sort(), ["resync", "send"]);
});

test("the state of the pair names a newer epoch: its server has caught up, nothing is fenced", () => {
  const l = connected();
  const role = { nodes: [{ areas: [{ area: "main", epoch: 8 }] }, { areas: null }], last_switch: null };
  assert.deepEqual(l.message(10, 1, { t: "role", id: 4, role } as unknown as Incoming), []);
  assert.equal(l.epoch, 8);
  assert.equal(l.live, true);
  assert.equal(l.frame(20, 1, frame(8)).accept, true);
});

test("of two active servers the higher epoch wins: the old active's welcome is fenced at once", () => {
  const l = connected(7);
  l.closed(0, 1, 1006);
  l.message(10, 2, welcome("b", 8));
  assert.equal(l.server, "b");
  l.closed(20, 2, 1006);
  l.message(30, 3, welcome("a", 7));
  assert.equal(l.fenced, true);
  assert.equal(l.live, false);
});

test("resuming the same server asks for changes only; another server gives a fresh picture", () => {
  const l = connected();
  l.frame(5, 1, frame(7, 140));
  l.frame(6, 1, frame(7, 150, true)); // a part: not yet what can be resumed from
  l.closed(10, 1, 1006);
  l.closed(11, 2, 1006);
  const hello = l.opened(12, 3)[0]!;
  assert.deepEqual(hello, { do: "hello", conn: 3, resume: { instance: "a1", epoch: 7 } });
  const live = l.message(13, 3, welcome("a", 7, { recovered: true }))[0]!;
  assert.equal(live.do === "live" && live.after, 140);
  l.closed(20, 3, 1006);
  const other = l.message(21, 4, welcome("b", 7))[0]!;
  assert.equal(other.do === "live" && other.after, undefined);
});

test("a session that ended stops the link and asks for a log-in", () => {
  const l = connected();
  assert.deepEqual(kinds(l.closed(0, 1, 4401)), ["lost", "signin"]);
  assert.equal(l.deadline(), Infinity);
  assert.deepEqual(kinds(l.start(5)), ["open http://a"]);
});

test("stop closes and stays idle", () => {
  const l = connected();
  assert.deepEqual(l.stop(), [{ do: "close", conn: 1, code: goneCode }]);
  assert.deepEqual(l.closed(1, 1, 1005), []);
  assert.equal(l.deadline(), Infinity);
});

test("pauses double up to the limit and are spread over their upper half", () => {
  assert.equal(pause(0, 0), firstPauseMs / 2);
  assert.equal(pause(0, 0.999), firstPauseMs);
  assert.ok(pause(99, 0.999) <= longestPauseMs);
  assert.ok(pause(99, 0) >= longestPauseMs / 2);
});
