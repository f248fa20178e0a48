// The record of gaps: for each tag the spans without a good value, by the source's own time. An operator's trend shows the same
// spans as holes, and tests measure a take-over with them. Pure.

/** Gap is a span in Unix milliseconds between the last good sample before it and the first good one after it. */
export interface Gap {
  fromMs: number;
  toMs: number;
}

/** mostGaps is how many gaps are kept for each tag; older ones are forgotten. */
export const mostGaps = 100;

/** GapBook keeps the gaps of all tags by index. */
export class GapBook {
  private readonly lastGood: number[] = [];
  private readonly open = new Set<number>();
  private readonly gaps = new Map<number, Gap[]>();

  /** sample records a sample: a good one that is newer than the gap's start closes an open gap, another opens one. */
  sample(index: number, timeMs: number, good: boolean): void {
    const last = this.lastGood[index];
    if (!good) {
      if (last !== undefined) this.open.add(index);
      return;
    }
    if (last !== undefined && timeMs <= last) return;
    if (this.open.delete(index) && last !== undefined) this.add(index, { fromMs: last, toMs: timeMs });
    this.lastGood[index] = timeMs;
  }

  /** lost opens a gap for every tag that had a good value: the link to the server is gone. */
  lost(): void {
    this.lastGood.forEach((_, index) => this.open.add(index));
  }

  /** of returns the closed gaps of a tag, oldest first. */
  of(index: number): readonly Gap[] {
    return this.gaps.get(index) ?? [];
  }

  private add(index: number, gap: Gap): void {
    const list = this.gaps.get(index) ?? [];
    list.push(gap);
    if (list.length > mostGaps) list.shift();
    this.gaps.set(index, list);
  }
}
