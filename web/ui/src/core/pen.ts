// The samples of one pen of a trend: history first, live values after it, in order of time, bounded. Pure.

import { grade, type Grade } from "./quality";
import type { Sample } from "./types";

/** mostSamples is how many samples a pen holds; the oldest go first. */
export const mostSamples = 20_000;

/** Span is a stretch of time in Unix milliseconds with one kind of doubt. */
export interface Span {
  fromMs: number;
  toMs: number;
  grade: Exclude<Grade, "good">;
}

export class Pen {
  /** times in Unix milliseconds, values with null where there is none: a hole in the line. */
  times: number[] = [];
  values: (number | null)[] = [];
  grades: Grade[] = [];
  /** version grows with every change of the samples. */
  version = 0;
  /** fresh is how many live samples came since the history was read. */
  fresh = 0;

  constructor(readonly tag: string) {}

  /** history replaces everything up to the end of the answer and keeps live samples that came after it. */
  history(samples: readonly Sample[], toMs: number): void {
    const keep = this.times.findIndex((t) => t > toMs);
    const rest = keep < 0 ? { t: [], v: [], g: [] } : { t: this.times.slice(keep), v: this.values.slice(keep), g: this.grades.slice(keep) };
    this.times = [];
    this.values = [];
    this.grades = [];
    for (const s of samples) if (s.time !== null) this.recorded(Date.parse(s.time), numeric(s.value), grade(s.quality));
    rest.t.forEach((t, i) => this.add(t, rest.v[i]!, rest.g[i]!));
    this.fresh = rest.t.length;
    this.version++;
  }

  /** live adds a sample that just came; an older one than the newest is ignored. */
  live(timeMs: number, value: number, g: Grade): void {
    const before = this.version;
    this.add(timeMs, Number.isNaN(value) ? null : value, g);
    if (this.version !== before) this.fresh++;
  }

  /** hole breaks the line: values after this instant are not connected to those before. */
  hole(timeMs: number): void {
    if (this.grades.at(-1) !== "bad") this.add(timeMs, null, "bad");
  }

  /** at returns the sample in force at an instant, or undefined. */
  at(timeMs: number): { value: number | null; grade: Grade } | undefined {
    let low = 0;
    let high = this.times.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      if (this.times[mid]! <= timeMs) low = mid + 1;
      else high = mid;
    }
    return low === 0 ? undefined : { value: this.values[low - 1]!, grade: this.grades[low - 1]! };
  }

  /** spans returns where the value was in doubt or missing, for the marks under the curve. */
  spans(fromMs: number, toMs: number): Span[] {
    const out: Span[] = [];
    for (let i = 0; i < this.times.length; i++) {
      const g = this.grades[i]!;
      if (g === "good") continue;
      const start = Math.max(fromMs, this.times[i]!);
      const end = Math.min(toMs, this.times[i + 1] ?? toMs);
      if (end <= start) continue;
      const last = out.at(-1);
      if (last && last.grade === g && last.toMs === start) last.toMs = end;
      else out.push({ fromMs: start, toMs: end, grade: g });
    }
    return out;
  }

  // A gap begins a nanosecond after the last sample, which is the same millisecond here: without its own place the line would
  // be drawn across it.
  private recorded(timeMs: number, value: number | null, g: Grade): void {
    this.add(g === "bad" && timeMs === this.times.at(-1) ? timeMs + 0.5 : timeMs, value, g);
  }

  private add(timeMs: number, value: number | null, g: Grade): void {
    if (!Number.isFinite(timeMs)) return;
    const last = this.times.at(-1);
    if (last !== undefined && timeMs <= last) return;
    this.version++;
    this.times.push(timeMs);
    this.values.push(g === "bad" ? null : value);
    this.grades.push(g);
    if (this.times.length > mostSamples) {
      const drop = mostSamples / 10;
      this.times.splice(0, drop);
      this.values.splice(0, drop);
      this.grades.splice(0, drop);
    }
  }
}

function numeric(v: Sample["value"]): number | null {
  if (typeof v === "number") return v;
  if (typeof v === "boolean") return v ? 1 : 0;
  return null;
}
