// Frames, values, gaps, alarms and pens.

import assert from "node:assert/strict";
import { test } from "node:test";
import { AlarmBook } from "../src/core/alarms";
import { decodeFrame, mostValues } from "../src/core/frame";
import { GapBook, mostGaps } from "../src/core/gaps";
import { mostSamples, Pen } from "../src/core/pen";
import { Store } from "../src/core/store";
import { Writes } from "../src/core/writes";
import type { Alarm, AlarmState } from "../src/core/types";

const pad8 = (n: number): number => (n + 7) & ~7;

function encode(rows: { v: number; age: number; handle: number; q: number }[]): ArrayBuffer {
  const n = rows.length;
  const handles = pad8(40 + 12 * n);
  const qualities = pad8(handles + 4 * n);
  const buf = new ArrayBuffer(qualities + n);
  const view = new DataView(buf);
  view.setUint8(0, 2);
  view.setUint8(1, 1);
  view.setUint16(2, 5, true);
  view.setUint32(4, n, true);
  view.setBigUint64(8, 12345n, true);
  view.setBigInt64(16, 1_700_000_000_123_456n, true);
  view.setBigUint64(24, 7n, true);
  view.setUint32(32, 12, true);
  rows.forEach((r, i) => {
    view.setFloat64(40 + 8 * i, r.v, true);
    view.setInt32(40 + 8 * n + 4 * i, r.age, true);
    view.setUint32(handles + 4 * i, r.handle, true);
    view.setUint8(qualities + i, r.q);
  });
  return buf;
}

test("a frame is read as the protocol lays it out, for every remainder of its columns", () => {
  for (let n = 0; n < 10; n++) {
    const rows = Array.from({ length: n }, (_, i) => ({ v: i + 0.5, age: i * 10, handle: 100 + i, q: i }));
    const f = decodeFrame(encode(rows));
    assert.ok(f, `n=${n}`);
    assert.deepEqual([f.kind, f.more, f.sub, f.seq, f.epoch, f.frame], [2, true, 5, 12345, 7, 12]);
    assert.equal(f.serverMs, 1_700_000_000_123.456);
    assert.deepEqual([...f.values], rows.map((r) => r.v));
    assert.deepEqual([...f.ages], rows.map((r) => r.age));
    assert.deepEqual([...f.handles], rows.map((r) => r.handle));
    assert.deepEqual([...f.qualities], rows.map((r) => r.q));
  }
});

test("what is not a frame is refused, never read beyond its end", () => {
  const good = encode([{ v: 1, age: 0, handle: 1, q: 0 }]);
  for (let cut = 0; cut < good.byteLength; cut++) assert.equal(decodeFrame(good.slice(0, cut)), null);
  const long = new Uint8Array(good.byteLength + 1);
  long.set(new Uint8Array(good));
  assert.equal(decodeFrame(long.buffer), null);
  const many = good.slice(0);
  new DataView(many).setUint32(4, mostValues + 1, true);
  assert.equal(decodeFrame(many), null);
  const kind = good.slice(0);
  new DataView(kind).setUint8(0, 9);
  assert.equal(decodeFrame(kind), null);
});

test("random bytes never throw", () => {
  let x = 1;
  for (let round = 0; round < 20_000; round++) {
    const buf = new Uint8Array(round % 120);
    for (let i = 0; i < buf.length; i++) {
      x = (x * 1103515245 + 12345) & 0x7fffffff;
      buf[i] = x >> 16;
    }
    if (buf.length > 8) buf.fill(0, 5, 8); // small n, or every one is refused for its size
    decodeFrame(buf.buffer);
  }
});

test("the store keeps values by name over other handles, and grows", () => {
  const s = new Store();
  s.bind([[3, "b", "bar", "float64"], [9, "a", "", "bool"]]);
  s.put(s.lookup(3), 1.5, 1000, "Good");
  s.bind([[70, "b", "bar", "float64"]]);
  assert.equal(s.lookup(3), -1);
  assert.equal(s.values[s.lookup(70)], 1.5);
  for (let i = 0; i < 3000; i++) s.put(s.index(`t${i}`), i, 1, "Bad_NoCommunication");
  assert.equal(s.values[s.find("t2999")], 2999);
  assert.equal(s.values[s.find("b")], 1.5);
  assert.equal(s.grade(s.find("t0")), "bad");
  assert.equal(s.find("no"), -1);
});

test("a gap lasts from the last good sample to the first good newer one", () => {
  const g = new GapBook();
  g.sample(0, 1000, true);
  g.lost(900);
  g.sample(0, 1000, true); // the same sample again from the other server proves nothing
  assert.deepEqual(g.of(0), []);
  g.sample(0, 1500, false);
  g.sample(0, 1800, true);
  assert.deepEqual(g.of(0), [{ fromMs: 1000, toMs: 1800 }]);
  g.sample(0, 1900, true);
  assert.equal(g.of(0).length, 1);
  g.lost(0);
  g.sample(0, 1950, true);
  assert.deepEqual(g.of(7), []);
  for (let i = 0; i < mostGaps + 5; i++) {
    g.lost(0);
    g.sample(0, 2000 + i, true);
  }
  assert.equal(g.of(0).length, mostGaps);
});

test("the sample of a slow tag is good until the link is lost, however old it is", () => {
  const g = new GapBook();
  g.sample(0, 1000, true);
  g.lost(9000);
  g.sample(0, 8000, true); // mirrored from before the loss
  g.sample(0, 9120, true);
  assert.deepEqual(g.of(0), [{ fromMs: 9000, toMs: 9120 }]);
});

const alarm = (id: string, state: AlarmState, priority: number, time: string): Alarm => ({ id, tag: id, area: "main", type: "level", state, active: true, acked: false, priority, occurrence: 1, epoch: 1, time });

test("the alarm book follows changes and notices a missing one", () => {
  const b = new AlarmBook();
  b.reset([alarm("x", "UNACK", 2, "2026-01-01T00:00:01Z"), alarm("y", "SHELVED", 1, "2026-01-01T00:00:02Z")], 10, true, false);
  assert.deepEqual(b.list().map((a) => a.id), ["x", "y"]);
  assert.equal(b.change([{ seq: 11, event: "RAISE", ann: true, alarm: alarm("z", "UNACK", 1, "2026-01-01T00:00:03Z") }]), true);
  assert.deepEqual(b.list().map((a) => a.id), ["z", "x", "y"]);
  assert.deepEqual(b.newestUnacked(1).map((a) => a.id), ["z"]);
  assert.equal(b.change([{ seq: 11, event: "RAISE", ann: true, alarm: alarm("old", "UNACK", 1, "") }]), true, "a repeated change is ignored");
  assert.equal(b.get("old"), undefined);
  assert.equal(b.change([{ seq: 13, event: "ACK", ann: false, alarm: alarm("x", "ACKED", 2, "") }]), false, "12 is missing");
  assert.equal(b.change([{ seq: 12, event: "CLEAR", ann: false, alarm: alarm("z", "NORM", 1, "") }]), true);
  assert.deepEqual(b.counts(), { unacked: 1, active: 1, overlaid: 1, byPriority: [0, 0, 1, 0, 0] });
});

test("what the alarm book works out is kept until an alarm changes", () => {
  const alarm = (id: string, state: AlarmState, time: string): Alarm => ({ id, tag: id, area: "main", type: "level", state, active: true, acked: false, priority: 2, occurrence: 1, epoch: 1, time });
  const b = new AlarmBook();
  b.reset([alarm("a", "UNACK", "2026-11-22T10:00:00Z"), alarm("b", "UNACK", "2026-11-22T10:00:01Z"), alarm("c", "ACKED", "2026-11-22T10:00:02Z")], 1, true, false);
  const ids = (list: readonly Alarm[]): string => list.map((a) => a.id).join("");
  assert.deepEqual([ids(b.list()), ids(b.newestUnacked(1)), ids(b.newestUnacked(3)), b.counts().unacked], ["bac", "b", "ba", 2]);
  assert.equal(b.list(), b.list());
  assert.equal(b.counts(), b.counts());
  b.change([{ seq: 2, event: "ACK", ann: false, alarm: alarm("b", "ACKED", "2026-11-22T10:00:03Z") }]);
  assert.deepEqual([ids(b.list()), ids(b.newestUnacked(3)), b.counts().unacked], ["abc", "a", 1]);
});

test("a pen counts what came since its history was read", () => {
  const p = new Pen("x");
  p.live(1000, 1, "good");
  p.live(900, 1, "good"); // older: no change
  p.live(2000, 2, "good");
  assert.equal(p.fresh, 2);
  const before = p.version;
  p.history([{ time: new Date(500).toISOString(), value: 5, quality: "Good" }], 1500);
  assert.deepEqual([p.times, p.fresh, p.version > before], [[500, 2000], 1, true]);
});

test("a pen joins history and live values without doubling, and bad values are holes", () => {
  const p = new Pen("x");
  p.live(5000, 5, "good");
  p.live(6000, NaN, "bad");
  p.history([{ time: new Date(1000).toISOString(), value: 1, quality: "Good" }, { time: new Date(5000).toISOString(), value: 5, quality: "Good" }, { time: null, value: null, quality: "Bad_NoData" }], 5000);
  assert.deepEqual(p.times, [1000, 5000, 6000]);
  assert.deepEqual(p.values, [1, 5, null]);
  p.hole(6500);
  assert.equal(p.times.length, 3, "already a hole");
  p.live(7000, 7, "uncertain");
  assert.deepEqual(p.spans(0, 8000), [{ fromMs: 6000, toMs: 7000, grade: "bad" }, { fromMs: 7000, toMs: 8000, grade: "uncertain" }]);
  assert.deepEqual(p.at(5500), { value: 5, grade: "good" });
  assert.equal(p.at(10), undefined);
  for (let i = 0; i < mostSamples + 10; i++) p.live(8000 + i, i, "good");
  assert.ok(p.times.length <= mostSamples);
});

test("a gap that begins in the millisecond of the last sample is a hole all the same", () => {
  const p = new Pen("x");
  p.history([
    { time: "2026-11-22T12:00:00.123456789Z", value: 1, quality: "Good" },
    { time: "2026-11-22T12:00:00.123456790Z", value: null, quality: "Bad_NoData" },
    { time: "2026-11-22T12:00:01Z", value: 2, quality: "Good" },
  ], Date.parse("2026-11-22T12:00:02Z"));
  assert.deepEqual(p.values, [1, null, 2]);
  assert.ok(p.times[0]! < p.times[1]! && p.times[1]! < p.times[2]!);
});

test("a write whose answer is lost ends as unknown and is not kept", async () => {
  const w = new Writes();
  const a = w.begin(1000);
  const b = w.begin(1000);
  assert.notEqual(a.nonce, b.nonce);
  assert.equal(a.nonce.length, 32);
  assert.equal(a.deadline, 6000);
  w.refused(b.id, "late", "");
  w.lost();
  w.done(a.id, { tag: "x", result: "confirmed", value: 1, read_back: 1, time: "", node: "a", epoch: 1 });
  assert.deepEqual(await a.promise, { kind: "unknown" });
  assert.deepEqual(await b.promise, { kind: "refused", code: "late", detail: "" });
});
