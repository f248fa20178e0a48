// Sentences, numbers, filters, files.

import assert from "node:assert/strict";
import { test } from "node:test";
import { csv } from "../src/core/csv";
import { matcher } from "../src/core/filter";
import { age, count, decimals, duration, fixed, instant, latency, rounded, zone } from "../src/core/format";
import { Failure, Http } from "../src/core/http";
import { preferred, translator, word } from "../src/core/i18n";
import { Texts } from "../src/core/texts";
import { messages } from "../src/core/messages";
import { known, said } from "../src/core/sentences";

test("every sentence exists in both languages with the same places to fill", () => {
  const places = (s: string): string[] => [...s.matchAll(/\{(\w+)\}/g)].map((m) => m[1]!).sort();
  for (const [key, m] of Object.entries(messages)) {
    assert.ok(m.en.trim() !== "" && m.zh.trim() !== "", key);
    assert.deepEqual(places(m.zh), places(m.en), key);
  }
});

test("Chinese sentences are Chinese", () => {
  const same = Object.entries(messages).filter(([, m]) => !/[\u4e00-\u9fff]/.test(m.zh)).map(([k]) => k);
  assert.deepEqual(same.sort(), ["alarm.refused", "code.text", "own.inArea", "people.by", "tag.count"], "nothing but places and signs");
});

test("words of the server are translated when known and shown as they are when not", () => {
  const t = translator("zh");
  assert.equal(word(t, "duty", "active"), "主用");
  assert.equal(word(t, "duty", "unheard-of"), "unheard-of");
  assert.equal(word(t, "duty", "constructor"), "constructor");
  assert.equal(t("banner.unacked", { n: 3 }), "未确认 3");
  assert.equal(preferred(["fr", "zh-Hans-CN"]), "zh");
  assert.equal(preferred(["fr"]), "en");
});

test("ages, spans and numbers have a fixed look", () => {
  assert.deepEqual([0, 400, 9949, 9951, 99_400, 99_600, 3_600_000, 36_000_000, 400_000_000, -5, NaN].map(age), ["0.0 s", "0.4 s", "9.9 s", "10 s", "99 s", "2 min", "60 min", "10 h", "5 d", "0.0 s", "—"]);
  assert.equal(duration(90_061_000), "1 d 01:01:01");
  assert.equal(fixed(-0.001, 2), "0.00");
  assert.match(zone(0), /^UTC[+−]\d\d:\d\d$/);
  assert.deepEqual(["0.4249131944444444", "true", "", "12", "1204392"].map(rounded), ["0.424913", "true", "", "12", "1204392"]);
  assert.equal(fixed(NaN, 2), "—");
  assert.equal(fixed(12.345, 1), "12.3");
  assert.equal(count(1234567), "1\u202f234\u202f567");
  assert.equal(latency(0.311), "0.31 ms");
  assert.deepEqual([decimals(0, 100), decimals(0, 8), decimals(0, 1500), decimals(0, 0.5), decimals(undefined, undefined)], [1, 3, 0, 4, 2]);
  assert.ok(Number.isNaN(instant(undefined)) && Number.isNaN(instant("0001-01-01T00:00:00Z")));
});

test("a filter takes words in any order and globs over the name", () => {
  const m = matcher("pump1 m3");
  assert.equal(m("intake/pump1/flow", "Discharge", "m3/h"), true);
  assert.equal(m("intake/pump2/flow", "Discharge", "m3/h"), false);
  assert.equal(matcher("*/pump?/flow")("intake/pump1/flow"), false, "? is not special");
  assert.equal(matcher("intake/*/flow")("intake/pump1/flow"), true);
  assert.equal(matcher("a.c*")("abc"), false, "a point is a point");
  assert.equal(matcher("  ")("x"), true);
});

test("a CSV field cannot become a formula or break a line", () => {
  assert.equal(csv([["a,b", 'say "x"'], ["=1+1", -5], ["-x", "two\nlines"], ["", NaN]]), '"a,b","say ""x"""\r\n\'=1+1,-5\r\n\'-x,"two\nlines"\r\n,\r\n');
});

test("a foreign server is reached with a token from one exchange; home uses its cookie", async () => {
  const seen: string[] = [];
  let tokenGiven = false;
  const http = new Http("http://a", (url, init) => {
    const auth = (init.headers as Record<string, string>)["Authorization"] ?? "";
    seen.push(`${init.method} ${url} ${init.credentials} ${auth}`.trim());
    if (url.endsWith("/session/exchange")) {
      tokenGiven = true;
      return Promise.resolve(Response.json({ token: "tok" }));
    }
    const ok = url.startsWith("http://a/") || (tokenGiven && auth === "Bearer tok");
    return Promise.resolve(ok ? Response.json({ ok: true }) : Response.json({ code: "unauthorized", title: "x", status: 401 }, { status: 401 }));
  });
  http.ticket = "T";
  await http.call("http://a", "GET", "/tags");
  await http.call("http://b", "GET", "/tags");
  await http.call("http://b", "GET", "/tags");
  assert.deepEqual(seen, [
    "GET http://a/api/v1/tags same-origin",
    "GET http://b/api/v1/tags omit",
    "POST http://b/api/v1/session/exchange omit",
    "GET http://b/api/v1/tags omit Bearer tok",
    "GET http://b/api/v1/tags omit Bearer tok",
  ]);
});

test("a failure carries the server's code, and no answer is status 0", async () => {
  const refusing = new Http("http://a", () => Promise.resolve(Response.json({ code: "not_ready", title: "Conflict", status: 409, detail: "why" }, { status: 409 })));
  await assert.rejects(refusing.call("http://a", "POST", "/role/switch", {}), (e: unknown) => e instanceof Failure && e.status === 409 && e.code === "not_ready" && e.message === "why");
  const dead = new Http("http://a", () => Promise.reject(new TypeError("failed")));
  await assert.rejects(dead.call("http://a", "GET", "/tags"), (e: unknown) => e instanceof Failure && e.status === 0);
});

test("what a node says is said in Chinese, with reasons within reasons", () => {
  const t = translator("zh");
  assert.equal(said("zh", t, "b missed 5 heartbeats on every path"), "b 在所有通道上丢失 5 次心跳");
  assert.equal(said("zh", t, "planned switch to b begins: maintenance of a"), "开始切换到 b（计划切换）：maintenance of a");
  assert.equal(said("zh", t, "device writes are released: b answers as standby"), "设备写入已恢复：b 应答，角色为备用");
  assert.equal(said("zh", t, "the switch failed, taking the area back: b was not prepared within 2s"), "切换失败，收回主用：b 未能在 2s 内就绪");
  assert.equal(said("zh", t, "active: no node is active and a is the designated primary"), "主用：无主用节点，a 为首选节点");
  assert.equal(said("zh", t, "the stream is lost; detected in 0 ms, active in 1 ms, first values of every device in 434 ms, 0 slots missed, 0 duplicates (plc1 76 ms)"), "数据流中断；检测用时 0 ms，激活用时 1 ms，全部设备首个数值用时 434 ms，漏采 0 次，重复采集 0 次（plc1 76 ms）");
  assert.equal(said("zh", t, "something new"), "something new");
  assert.equal(said("en", t, "the node starts"), "the node starts");
});

test("every sentence of the nodes is matched by its own pattern, and both languages have the same places", () => {
  const t = translator("zh");
  const places = (s: string): string[] => [...s.matchAll(/\{(\w+)\}/g)].map((m) => m[1]!).sort();
  for (const [en, zh] of known) {
    assert.deepEqual(places(zh), places(en), en);
    const filled = en.replace(/\{\w+\}/g, "x1");
    assert.equal(said("zh", t, filled), zh.replace(/\{\w+\}/g, "x1"), en);
  }
});

test("a hostile sentence does not hold the page up", () => {
  const t = translator("zh");
  for (const s of ["a: ".repeat(160), "x".repeat(499), "both nodes were active: ".repeat(20), "; ".repeat(250)]) assert.equal(typeof said("zh", t, s), "string");
});

test("the plant's own texts: whole, with places, unknown, and again", () => {
  const texts = new Texts();
  assert.equal(texts.say("Pump 2 tripped"), "Pump 2 tripped");
  texts.load({ "Pump {n} tripped": "泵 {n} 跳闸", "Door": "门", "{a} of {b}": "{b} 中的 {a}" });
  assert.equal(texts.say("Pump 2 tripped"), "泵 2 跳闸");
  assert.equal(texts.say("Pump 2 tripped"), "泵 2 跳闸");
  assert.equal(texts.say("Door"), "门");
  assert.equal(texts.say("3 of 4"), "4 中的 3");
  assert.equal(texts.say("Pump two big tripped"), "Pump two big tripped");
  assert.equal(texts.say(undefined), "");
  assert.equal(texts.say("x".repeat(100_000)).length, 100_000);
  texts.load({});
  assert.equal(texts.say("Door"), "Door");
});
