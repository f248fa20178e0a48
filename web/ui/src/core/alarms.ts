// The alarms the page knows: the server's reset and its changes in gap-free order. Pure.

import type { Alarm, AlarmChange } from "./types";

const unacknowledged = new Set(["UNACK", "RTN_UNACK", "LATCH_UNACK"]);
const overlaid = new Set(["SHELVED", "SUPPRESSED", "OOS"]);

/** isUnacked tells whether the alarm waits for the operator. */
export function isUnacked(a: Alarm): boolean {
  return unacknowledged.has(a.state);
}

/** isOverlaid tells whether the alarm is hidden from the operator's work list: shelved, suppressed or out of service. */
export function isOverlaid(a: Alarm): boolean {
  return overlaid.has(a.state);
}

/** Counts is how many alarms are unacknowledged, active and overlaid, and how many of each priority wait. */
export interface Counts {
  unacked: number;
  active: number;
  overlaid: number;
  byPriority: number[];
}

export class AlarmBook {
  /** version grows with every change. */
  version = 0;
  private byId = new Map<string, Alarm>();
  private seq = 0;
  private filling = false;
  // What is worked out of the alarms is kept until one changes: with thousands of them the page asks more often than they do.
  private sorted: Alarm[] = [];
  private sortedAt = -1; // version
  private newest: Alarm[] = [];
  private newestAt = -1;
  private newestOf = 0;
  private counted: Counts = { unacked: 0, active: 0, overlaid: 0, byPriority: [] };
  private countedAt = -1;
  private readonly times = new WeakMap<Alarm, number>();

  /** reset begins or continues a fresh picture; more tells that further parts follow. */
  reset(alarms: readonly Alarm[], seq: number, begin: boolean, more: boolean): void {
    if (begin) this.byId = new Map();
    for (const a of alarms) this.byId.set(a.id, a);
    this.seq = seq;
    this.filling = more;
    this.version++;
  }

  /** change applies transitions in order; false when one is missing and a fresh picture is needed. */
  change(changes: readonly ({ seq: number } & AlarmChange)[]): boolean {
    for (const c of changes) {
      if (c.seq <= this.seq) continue;
      if (c.seq !== this.seq + 1 && !this.filling) return false;
      this.seq = c.seq;
      if (c.alarm.state === "NORM") this.byId.delete(c.alarm.id);
      else this.byId.set(c.alarm.id, c.alarm);
    }
    this.version++;
    return true;
  }

  get(id: string): Alarm | undefined {
    return this.byId.get(id);
  }

  /** list returns the alarms as an operator works them off: unacknowledged first, then by priority, then the newest. */
  list(): readonly Alarm[] {
    if (this.sortedAt !== this.version) {
      this.sorted = [...this.byId.values()].sort((a, b) => this.compare(a, b));
      this.sortedAt = this.version;
    }
    return this.sorted;
  }

  /** newestUnacked returns the newest unacknowledged alarms, at most n. */
  newestUnacked(n: number): readonly Alarm[] {
    if (this.newestAt === this.version && this.newestOf === n) return this.newest;
    const newest: Alarm[] = [];
    for (const a of this.byId.values()) {
      if (!isUnacked(a)) continue;
      const at = newest.findIndex((b) => this.when(a) > this.when(b) || (this.when(a) === this.when(b) && a.id < b.id));
      if (at >= 0) newest.splice(at, 0, a);
      else if (newest.length < n) newest.push(a);
      if (newest.length > n) newest.pop();
    }
    this.newest = newest;
    this.newestAt = this.version;
    this.newestOf = n;
    return newest;
  }

  counts(): Readonly<Counts> {
    if (this.countedAt === this.version) return this.counted;
    const c: Counts = { unacked: 0, active: 0, overlaid: 0, byPriority: [0, 0, 0, 0, 0] };
    for (const a of this.byId.values()) {
      if (isOverlaid(a)) {
        c.overlaid++;
        continue;
      }
      if (a.active) c.active++;
      if (!isUnacked(a)) continue;
      c.unacked++;
      const p = Math.min(4, Math.max(1, a.priority));
      c.byPriority[p] = (c.byPriority[p] ?? 0) + 1;
    }
    this.counted = c;
    this.countedAt = this.version;
    return c;
  }

  private when(a: Alarm): number {
    let ms = this.times.get(a);
    if (ms === undefined) {
      ms = a.time ? Date.parse(a.time) : NaN;
      if (!Number.isFinite(ms)) ms = 0;
      this.times.set(a, ms);
    }
    return ms;
  }

  private compare(a: Alarm, b: Alarm): number {
    return rank(a) - rank(b) || a.priority - b.priority || this.when(b) - this.when(a) || (a.id < b.id ? -1 : 1);
  }
}

const rank = (a: Alarm): number => (isOverlaid(a) ? 2 : isUnacked(a) ? 0 : 1);
