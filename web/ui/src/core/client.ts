// The page's one client: drives the link, fills the store, tells the parts of the page what changed.

import { AlarmBook } from "./alarms";
import { decodeFrame } from "./frame";
import { Failure, Http } from "./http";
import { instant } from "./format";
import { Link, type Action } from "./link";
import { Store } from "./store";
import { Texts } from "./texts";
import type { AlarmResult, Device, JournalEntry, NodeInfo, Pair, Provider, Session, SignedOut, Tag, WriteResult } from "./types";
import { subprotocol, type Incoming, type Outgoing, type Welcome } from "./wire";
import { Writes, type WriteOutcome } from "./writes";

/** Topic is what a part of the page can listen to. */
export type Topic = "status" | "tags" | "values" | "alarms" | "role" | "journal" | "devices" | "session";

const ticketMs = 180_000;
const tagPage = 1000;
const frameMs = 50; // least time between two frames of values
const journalKept = 200;

const topics = ["alarms", "role", "journal", "devices"] as const;
type ServerTopic = (typeof topics)[number];

export class Client {
  readonly home = location.origin;
  readonly http = new Http(this.home, (url, init) => fetch(url, init));
  readonly link = new Link(this.home, Math.random);
  readonly store = new Store();
  readonly alarms = new AlarmBook();
  readonly writes = new Writes();
  readonly texts = new Texts();
  session: Session | null | undefined;
  /** out tells that the session has ended without the user asking for it: the page stays until somebody signs in again. */
  out = false;
  pair: Pair | undefined;
  devices: Device[] = [];
  journal: JournalEntry[] = [];
  info: NodeInfo | undefined;
  lagMs = NaN;
  peerReady: boolean | undefined;
  /** lostAt is the wall clock when the link was lost; NaN while it is up. */
  lostAt = NaN;
  plant = "";

  private socket: WebSocket | undefined;
  private conn = 0;
  private timer = 0;
  private valueSub = 0;
  private nextSub = 0;
  private readonly topicSubs = new Map<number, ServerTopic>();
  private qualities: Record<string, string> = {};
  private clockOffset = 0; // server's wall clock minus ours
  private lastFrame = NaN;
  private readonly bus = new EventTarget();
  private readonly dirty = new Set<Topic>();
  private scheduled = false;
  private ticketTimer = 0;
  private loadingTags = false;
  private changing = false; // the own password: the end of the session is expected
  private ended = false; // the session, meanwhile

  /** on calls back after a topic changed, at most once in an animation frame; the result ends it. */
  on(topic: Topic, callback: () => void): () => void {
    this.bus.addEventListener(topic, callback);
    return () => this.bus.removeEventListener(topic, callback);
  }

  /** serverNow is the server's clock in Unix milliseconds. */
  serverNow(): number {
    return Date.now() + this.clockOffset;
  }

  /** stale tells that nothing on the page may be taken for the present. */
  get stale(): boolean {
    return !this.link.live;
  }

  /** lastFrameAgeMs is how long ago values were last accepted. */
  get lastFrameAgeMs(): number {
    return performance.now() - this.lastFrame;
  }

  may(permission: string): boolean {
    return this.session?.permissions?.includes(permission) ?? false;
  }

  /** call sends a request to the server in use. */
  call<T>(method: string, path: string, body?: unknown, limitMs?: number): Promise<T> {
    return this.http.call<T>(this.link.origin, method, path, body, limitMs);
  }

  /** begin finds out whether somebody is signed in, and if so connects. */
  async begin(): Promise<void> {
    try {
      const session = await this.http.call<Session>(this.home, "GET", "/session");
      if (session.must_change) throw new Failure(401, "password_due", ""); // signs in again, and changes it then
      this.admit(session);
    } catch (e) {
      this.session = null;
      if (!(e instanceof Failure) || e.status !== 401) console.warn("session", e);
      this.tell("session");
    }
  }

  /** signIn resolves with false when the password has to be changed first. */
  async signIn(user: string, password: string): Promise<boolean> {
    this.http.forget();
    const session = await this.http.call<Session>(this.home, "POST", "/session", { user, password });
    if (session.must_change) return false;
    this.admit(session);
    return true;
  }

  /** signOut resolves with the address that ends the session at a sign-in service, "" when there is none. */
  async signOut(): Promise<string> {
    const gone = this.call<SignedOut | undefined>("DELETE", "/session").catch(() => undefined);
    this.leave();
    return (await gone)?.logout_url ?? "";
  }

  /** provider is the name of the sign-in service, "" when there is none. */
  async provider(): Promise<string> {
    return (await this.http.call<Provider>(this.home, "GET", "/session/oidc")).name;
  }

  /** leave forgets who was signed in and goes to the log-in page. */
  leave(): void {
    this.run(this.link.stop());
    this.forgetSession();
  }

  /** changePassword changes the user's own password. All sessions of the user end with it, this one too: the answer is a new one. */
  async changePassword(old: string, fresh: string): Promise<void> {
    if (this.link.origin !== this.home && this.http.token(this.link.origin) === undefined) await this.call("GET", "/node"); // has the ticket exchanged
    this.changing = true;
    try {
      const session = await this.call<Session>("POST", "/session/password", { old, new: fresh });
      this.run(this.link.stop());
      this.http.forgetTokens();
      this.admit(session);
    } catch (e) {
      if (this.ended) this.forgetSession();
      throw e;
    } finally {
      this.changing = false;
      this.ended = false;
    }
  }

  /** write sends a value with a deadline, once. It resolves with what came of it; it never waits for a link. */
  write(tag: string, value: number | boolean | string, reason: string): Promise<WriteOutcome> {
    const area = this.store.defs[this.store.find(tag)]?.area ?? "";
    const role = this.link.roles[area];
    const socket = this.socket;
    if (!this.link.live || !socket || socket.readyState !== WebSocket.OPEN) return Promise.resolve({ kind: "refused", code: "not_connected", detail: "" });
    const { id, promise, deadline, nonce } = this.writes.begin(this.serverNow());
    this.sendOn(socket, {
      t: "write", id, tag, value, nonce,
      epoch: role?.epoch ?? this.link.serverEpoch,
      expect_role: role?.role ?? "active",
      deadline: new Date(deadline).toISOString(),
      ...(reason === "" ? {} : { reason }),
    });
    return promise;
  }

  /** alarmCommand acknowledges, shelves… the occurrences the operator saw. */
  async alarmCommand(verb: string, ids: readonly string[], extra: Record<string, unknown>): Promise<AlarmResult[]> {
    const alarms = ids.map((id) => ({ id, occurrence: this.alarms.get(id)?.occurrence ?? 0 }));
    const answer = await this.call<{ results: AlarmResult[] | null }>("POST", `/alarms/${verb}`, { alarms, ...extra });
    return answer.results ?? [];
  }

  private admit(session: Session): void {
    this.session = session;
    this.out = false;
    this.tell("session");
    this.run(this.link.start(performance.now()));
    void this.renewTicket();
    clearInterval(this.ticketTimer);
    this.ticketTimer = window.setInterval(() => void this.renewTicket(), ticketMs);
  }

  private forgetSession(): void {
    this.session = null;
    this.shutOut(false);
  }

  // shutOut drops every proof of who is signed in. The page may stay: an operator in the middle of something keeps the place.
  private shutOut(stay: boolean): void {
    clearInterval(this.ticketTimer);
    this.http.forget();
    this.out = stay;
    this.tell("session");
    this.tell("status");
  }

  private async renewTicket(): Promise<void> {
    try {
      this.http.ticket = (await this.call<{ ticket: string }>("POST", "/ticket")).ticket;
    } catch (e) {
      console.warn("ticket", e); // the next renewal, or the next welcome, tries again
    }
  }

  private run(actions: readonly Action[]): void {
    for (const a of actions) this.act(a);
    this.arm();
    if (actions.length > 0) this.tell("status");
  }

  private act(a: Action): void {
    switch (a.do) {
      case "open":
        this.open(a.conn, a.origin);
        return;
      case "hello": {
        const token = this.http.token(this.link.origin);
        this.send({ t: "hello", lang: document.documentElement.lang, ...(this.http.ticket ? { ticket: this.http.ticket } : {}), ...(token ? { token } : {}), ...(a.resume ? { resume: a.resume } : {}) });
        return;
      }
      case "send":
        this.send(a.message);
        return;
      case "close":
        this.socket?.close(a.code);
        return;
      case "live":
        this.welcomed(a.welcome, a.after);
        return;
      case "lost":
        this.lost();
        return;
      case "resync":
        this.subscribeValues();
        return;
      case "signin":
        if (this.changing) this.ended = true;
        else this.shutOut(this.session !== null);
        return;
    }
  }

  private open(conn: number, origin: string): void {
    const socket = new WebSocket(origin.replace(/^http/, "ws") + "/api/v1/ws", subprotocol);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.run(this.link.opened(performance.now(), conn));
    socket.onclose = (e) => this.run(this.link.closed(performance.now(), conn, e.code));
    socket.onmessage = (e: MessageEvent<ArrayBuffer | string>) => {
      if (conn !== this.conn) return;
      if (typeof e.data === "string") this.control(conn, e.data);
      else this.frame(conn, e.data);
    };
    this.conn = conn;
    this.socket = socket;
  }

  private send(message: Outgoing): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.sendOn(this.socket, message);
  }

  private sendOn(socket: WebSocket, message: Outgoing): void {
    socket.send(JSON.stringify(message));
  }

  private arm(): void {
    clearTimeout(this.timer);
    const at = this.link.deadline();
    if (at !== Infinity) this.timer = window.setTimeout(() => this.run(this.link.tick(performance.now())), Math.max(0, at - performance.now()));
  }

  private welcomed(w: Welcome, after: number | undefined): void {
    this.clockOffset = instant(w.time) - Date.now();
    this.qualities = w.qualities ?? {};
    this.lostAt = NaN;
    if (this.session) this.session = { ...this.session, user: w.user, role: w.role, permissions: w.permissions ?? [] };
    this.nextSub = 0;
    this.topicSubs.clear();
    for (const topic of topics) {
      this.topicSubs.set(++this.nextSub, topic);
      this.send({ t: "sub", id: this.nextSub, topic });
    }
    this.valueSub = 0;
    this.subscribeValues(after);
    if (this.plant !== w.plant || this.store.shape === 0) void this.loadTags(w.plant);
    if (!this.http.ticket) void this.renewTicket();
    void this.loadInfo();
    this.tell("session");
  }

  private subscribeValues(after?: number): void {
    if (this.valueSub !== 0) this.send({ t: "unsub", id: this.valueSub });
    this.valueSub = ++this.nextSub;
    this.send({ t: "sub", id: this.valueSub, glob: "**", min_ms: frameMs, ...(after === undefined ? {} : { after }) });
  }

  private lost(): void {
    this.lostAt = Date.now();
    this.writes.lost();
    this.store.gapBook.lost(this.serverNow() - (performance.now() - this.link.lastHeard));
    this.tell("values");
  }

  private control(conn: number, text: string): void {
    let m: Incoming;
    try {
      m = JSON.parse(text) as Incoming;
    } catch {
      console.warn("not JSON from the server");
      return;
    }
    const actions = this.link.message(performance.now(), conn, m);
    this.run(actions);
    this.handle(m);
  }

  private handle(m: Incoming): void {
    switch (m.t) {
      case "hb":
        this.clockOffset = instant(m.time) - Date.now();
        this.lagMs = m.lag_ms;
        this.peerReady = m.ready;
        this.tell("status");
        return;
      case "subd":
        if (m.id === this.valueSub) this.store.bind(m.handles ?? []);
        return;
      case "text":
        if (m.id === this.valueSub) for (const [handle, text] of m.values) this.store.text(this.store.lookup(handle), text);
        return;
      case "plant":
        void this.loadTags(m.plant);
        return;
      case "alarms":
        this.alarmMessage(m);
        return;
      case "journal":
        if (m.reset) this.journal = [];
        this.journal = [...this.journal, ...(m.entries ?? [])].slice(-journalKept);
        this.tell("journal");
        return;
      case "role":
        this.pair = m.role;
        this.tell("role");
        return;
      case "devices":
        this.devices = m.devices ?? [];
        this.tell("devices");
        return;
      case "accepted":
        return;
      case "done":
        this.writes.done(m.id, m.result);
        return;
      case "refused":
        this.writes.refused(m.id, m.code, m.detail ?? "");
        return;
      case "error":
        console.warn("refused by the server", m.code, m.detail);
        return;
    }
  }

  private alarmMessage(m: Extract<Incoming, { t: "alarms" }>): void {
    if (m.alarms || m.reset) this.alarms.reset(m.alarms ?? [], m.seq, m.reset ?? false, m.more ?? false);
    else if (!this.alarms.change(m.changes ?? [])) {
      this.topicSubs.delete(m.id);
      this.send({ t: "unsub", id: m.id });
      this.topicSubs.set(++this.nextSub, "alarms");
      this.send({ t: "sub", id: this.nextSub, topic: "alarms" });
    }
    this.tell("alarms");
  }

  private frame(conn: number, buf: ArrayBuffer): void {
    const f = decodeFrame(buf);
    if (!f) {
      console.warn("not a data frame", buf.byteLength);
      return;
    }
    const { accept, actions } = this.link.frame(performance.now(), conn, f);
    this.run(actions.filter((a) => a.do !== "send"));
    for (const a of actions) if (a.do === "send") this.act(a);
    if (!accept || f.sub !== this.valueSub) return;
    for (let i = 0; i < f.values.length; i++) {
      const index = this.store.lookup(f.handles[i]!);
      if (index < 0) continue;
      const age = f.ages[i]!;
      const time = age === 2147483647 ? NaN : f.serverMs - age;
      this.store.put(index, f.values[i]!, time, this.qualities[String(f.qualities[i]!)] ?? "Bad");
    }
    this.lastFrame = performance.now();
    this.tell("values");
  }

  private async loadTags(plant: string): Promise<void> {
    if (this.loadingTags) return;
    this.loadingTags = true;
    try {
      const all: Tag[] = [];
      let next = "";
      do {
        const page = await this.call<{ tags: Tag[] | null; next?: string }>("GET", `/tags?limit=${tagPage}${next ? `&cursor=${encodeURIComponent(next)}` : ""}`);
        all.push(...(page.tags ?? []));
        next = page.next ?? "";
      } while (next !== "");
      this.store.define(all);
      this.plant = plant;
      await this.loadTexts();
      this.tell("tags");
    } catch (e) {
      console.warn("tags", e); // asked again at the next welcome
    } finally {
      this.loadingTags = false;
    }
  }

  /** loadTexts gets the plant's own texts in the language of the page. */
  async loadTexts(): Promise<void> {
    if (!this.link.live) return; // they come with the tags
    const lang = document.documentElement.lang.slice(0, 2);
    try {
      const { texts } = await this.call<{ texts: Record<string, string> }>("GET", `/texts?lang=${lang}`);
      if (lang !== document.documentElement.lang.slice(0, 2)) return;
      this.texts.load(texts);
    } catch (e) {
      console.warn("texts", e); // as the plant file has them
    }
    for (const topic of ["tags", "alarms", "journal"] as const) this.tell(topic);
  }

  private async loadInfo(): Promise<void> {
    try {
      this.info = await this.call<NodeInfo>("GET", "/node");
      this.tell("status");
    } catch (e) {
      console.warn("node", e);
    }
  }

  private tell(topic: Topic): void {
    this.dirty.add(topic);
    if (this.scheduled) return;
    this.scheduled = true;
    const flush = (): void => {
      if (!this.scheduled) return;
      this.scheduled = false;
      const changed = [...this.dirty];
      this.dirty.clear();
      for (const t of changed) this.bus.dispatchEvent(new Event(t));
    };
    requestAnimationFrame(flush);
    if (document.hidden) setTimeout(flush, 0); // a hidden page gets no animation frames
  }
}

export type { WriteResult };
