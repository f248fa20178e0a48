// Which server the page talks to, when the link counts as lost, and whose frames are believed. The page has one connection at a
// time. It is pure: the time (any monotonic milliseconds) and random numbers come in, actions go out, deadline() tells when to
// call tick().
//
// A silent server is given up after 2.5 heartbeats. Then the other server is tried at once, then this one again, and from then on
// both in turn with growing pauses. The epoch fences: a server that knows only an older epoch than the page has seen is behind
// (cut off, or just restarted); its values are thrown away, and if it does not catch up the page leaves it.

import { pause } from "./backoff";
import type { Pair } from "./types";
import type { AreaRole, Heartbeat, Incoming, Outgoing, Resume, Welcome } from "./wire";
import { closeForbidden, closeSignedOut } from "./wire";

/** attemptMs is how long a server may take from the first knock to its welcome. */
export const attemptMs = 2000;

/** missedBeats is how many heartbeats may fail before the link counts as lost. */
export const missedBeats = 2.5;

/** fencedMs is how long a server may be behind in epoch before the page goes to the other one. */
export const fencedMs = 1500;

/** goneCode is the close code of a connection the page has given up. */
export const goneCode = 4000;

export type Phase = "idle" | "waiting" | "opening" | "live";

export type Action =
  | { do: "open"; conn: number; origin: string }
  | { do: "hello"; conn: number; resume: Resume | undefined }
  | { do: "send"; conn: number; message: Outgoing }
  | { do: "close"; conn: number; code: number }
  | { do: "live"; welcome: Welcome; after: number | undefined }
  | { do: "lost"; why: string }
  | { do: "resync" }
  | { do: "signin" };

function pairEpoch(pair: Pair): number {
  return Math.max(0, ...pair.nodes.flatMap((n) => (n.areas ?? []).map((a) => a.epoch)));
}

export class Link {
  phase: Phase = "idle";
  /** origin is the web address of the server in use or being tried. */
  origin: string;
  server = "";
  roles: Record<string, AreaRole> = {};
  /** epoch is the highest the page has seen, from any server. */
  epoch = 0;
  /** serverEpoch is what the present server says. */
  serverEpoch = 0;
  fenced = false;
  lastHeard = -Infinity;
  hbMs = 1000;

  private conn = 0;
  private origins: string[];
  private attempt = 0;
  private at = Infinity; // of the next attempt, or the end of the present one
  private fencedSince = Infinity;
  private instance = "";
  private seq = 0;
  private resumable = false;

  constructor(home: string, private readonly random: () => number) {
    this.origin = home;
    this.origins = [home];
  }

  /** start connects to the server that sent the page. */
  start(now: number): Action[] {
    if (this.phase !== "idle") return [];
    this.attempt = 0;
    return this.open(now, this.origin);
  }

  /** stop ends the connection and stays idle. */
  stop(): Action[] {
    const conn = this.conn;
    const connected = this.phase === "live" || this.phase === "opening";
    this.enter("idle", Infinity);
    return connected ? [{ do: "close", conn, code: goneCode }] : [];
  }

  /** opened: the socket is up; the server waits for the greeting. */
  opened(_now: number, conn: number): Action[] {
    if (conn !== this.conn || this.phase !== "opening") return [];
    const resume = this.resumable ? { instance: this.instance, epoch: this.serverEpoch } : undefined;
    return [{ do: "hello", conn, resume }];
  }

  /** closed: the socket ended, whoever ended it. */
  closed(now: number, conn: number, code: number): Action[] {
    if (conn !== this.conn || this.phase === "idle" || this.phase === "waiting") return [];
    if (code === closeSignedOut || code === closeForbidden) {
      const lost: Action[] = this.phase === "live" ? [{ do: "lost", why: `closed ${code}` }] : [];
      this.enter("idle", Infinity);
      return [...lost, { do: "signin" }];
    }
    return this.phase === "live" ? this.lose(now, `closed ${code}`) : this.fail(now);
  }

  /** message: a control message came. The caller handles its content; here it counts as a sign of life and of an epoch. */
  message(now: number, conn: number, m: Incoming): Action[] {
    if (conn !== this.conn) return [];
    if (m.t === "welcome") return this.phase === "opening" ? this.welcome(now, m) : [];
    if (this.phase !== "live") return [];
    this.heard(now);
    if (m.t === "plant") {
      this.instance = m.instance;
      this.resumable = false;
    }
    if (m.t === "hb") return this.beat(now, m);
    return m.t === "role" ? this.learn(now, pairEpoch(m.role)) : [];
  }

  /** frame: values came. accept tells whether they may be shown; the acknowledgement is in the actions in any case. */
  frame(now: number, conn: number, f: { frame: number; seq: number; epoch: number; more: boolean }): { accept: boolean; actions: Action[] } {
    if (conn !== this.conn || this.phase !== "live") return { accept: false, actions: [] };
    this.heard(now);
    const actions = this.see(now, f.epoch);
    actions.push({ do: "send", conn, message: { t: "ack", frame: f.frame } });
    const resync = actions.some((a) => a.do === "resync");
    const accept = !this.fenced && !resync;
    if (accept && !f.more) {
      this.seq = f.seq;
      this.resumable = true;
    }
    return { accept, actions };
  }

  /** tick does what is due. */
  tick(now: number): Action[] {
    switch (this.phase) {
      case "waiting":
        return now >= this.at ? this.open(now, this.origin) : [];
      case "opening": {
        if (now < this.at) return [];
        const conn = this.conn;
        return [{ do: "close", conn, code: goneCode }, ...this.fail(now)];
      }
      case "live": {
        const conn = this.conn;
        if (now - this.lastHeard >= this.hbMs * missedBeats) return [{ do: "close", conn, code: goneCode }, ...this.lose(now, "silent")];
        if (now - this.fencedSince >= fencedMs && this.origins.length > 1) {
          return [{ do: "close", conn, code: goneCode }, ...this.lose(now, "behind")];
        }
        return [];
      }
      default:
        return [];
    }
  }

  /** deadline is when tick has something to do, Infinity for never. */
  deadline(): number {
    if (this.phase === "live") {
      const fence = this.origins.length > 1 ? this.fencedSince + fencedMs : Infinity;
      return Math.min(this.lastHeard + this.hbMs * missedBeats, fence);
    }
    return this.at;
  }

  /** others are the web addresses of the other servers of the pair. */
  others(): readonly string[] {
    return this.origins.slice(1);
  }

  /** live tells whether values that arrive now may be shown. */
  get live(): boolean {
    return this.phase === "live" && !this.fenced;
  }

  private enter(phase: Phase, at: number): void {
    this.phase = phase;
    this.at = at;
    this.fenced = false;
    this.fencedSince = Infinity;
  }

  private open(now: number, origin: string): Action[] {
    this.enter("opening", now + attemptMs);
    this.origin = origin;
    this.conn++;
    return [{ do: "open", conn: this.conn, origin }];
  }

  private lose(now: number, why: string): Action[] {
    this.attempt = 0;
    this.origin = this.other();
    return [{ do: "lost", why }, ...this.open(now, this.origin)];
  }

  private fail(now: number): Action[] {
    this.attempt++;
    this.origin = this.other();
    if (this.attempt < this.origins.length) return this.open(now, this.origin);
    this.enter("waiting", now + pause(this.attempt - this.origins.length, this.random()));
    return [];
  }

  private other(): string {
    const i = this.origins.indexOf(this.origin);
    return this.origins[(i + 1) % this.origins.length] ?? this.origin;
  }

  private welcome(now: number, w: Welcome): Action[] {
    this.enter("live", Infinity);
    this.attempt = 0;
    this.lastHeard = now;
    this.server = w.server;
    this.hbMs = w.hb_ms > 0 ? w.hb_ms : 1000;
    this.roles = w.roles ?? {};
    for (const peer of w.peers ?? []) if (!this.origins.includes(peer)) this.origins.push(peer);
    const after = w.recovered && this.resumable ? this.seq : undefined;
    this.instance = w.instance;
    this.resumable = after !== undefined;
    return [{ do: "live", welcome: w, after }, ...this.see(now, w.epoch)];
  }

  private beat(now: number, hb: Heartbeat): Action[] {
    this.roles = hb.roles ?? {};
    return this.see(now, hb.epoch);
  }

  // learn takes in the epoch out of the state of the pair. The server that tells of a newer one has caught up with it.
  private learn(now: number, epoch: number): Action[] {
    return epoch > this.epoch ? this.see(now, epoch) : [];
  }

  private heard(now: number): void {
    this.lastHeard = now;
  }

  // see applies the fence. Leaving it needs a fresh picture: the changes dropped meanwhile will not come again.
  private see(now: number, epoch: number): Action[] {
    this.serverEpoch = epoch;
    if (epoch < this.epoch) {
      if (!this.fenced) this.fencedSince = now;
      this.fenced = true;
      this.resumable = false;
      return [];
    }
    this.epoch = epoch;
    if (!this.fenced) return [];
    this.fenced = false;
    this.fencedSince = Infinity;
    return [{ do: "resync" }];
  }
}
