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

export class AlarmBook {
  /** version grows with every change. */
  version = 0;
  private byId = new Map<string, Alarm>();
  private seq = 0;
  private filling = false;
  private sorted: Alarm[] = [];
  private sortedAt = -1; // version: with thousands of alarms the page asks more often than they change

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
      this.sorted = [...this.byId.values()].sort(compare);
      this.sortedAt = this.version;
    }
    return this.sorted;
  }

  /** newestUnacked returns the newest unacknowledged alarms, at most n. */
  newestUnacked(n: number): Alarm[] {
    const newest: Alarm[] = [];
    for (const a of this.byId.values()) {
      if (!isUnacked(a)) continue;
      const at = newest.findIndex((b) => when(a) > when(b) || (when(a) === when(b) && a.id < b.id));
      if (at >= 0) newest.splice(at, 0, a);
      else if (newest.length < n) newest.push(a);
      if (newest.length > n) newest.pop();
    }
    return newest;
  }

  /** counts is how many are unacknowledged, how many active, and how many of each priority wait. */
  counts(): { unacked: number; active: number; overlaid: number; byPriority: number[] } {
    const byPriority = [0, 0, 0, 0, 0];
    let unacked = 0;
    let active = 0;
    let hidden = 0;
    for (const a of this.byId.values()) {
      if (isOverlaid(a)) {
        hidden++;
        continue;
      }
      if (a.active) active++;
      if (!isUnacked(a)) continue;
      unacked++;
      const p = Math.min(4, Math.max(1, a.priority));
      byPriority[p] = (byPriority[p] ?? 0) + 1;
    }
    return { unacked, active, overlaid: hidden, byPriority };
  }
}

function when(a: Alarm): number {
  const ms = a.time ? Date.parse(a.time) : NaN;
  return Number.isFinite(ms) ? ms : 0;
}

const rank = (a: Alarm): number => (isOverlaid(a) ? 2 : isUnacked(a) ? 0 : 1);

function compare(a: Alarm, b: Alarm): number {
  return rank(a) - rank(b) || a.priority - b.priority || when(b) - when(a) || a.id.localeCompare(b.id);
}
