// The record of gaps: for each tag the spans without a good value, by the source's own time. An operator's trend shows the same
// spans as holes, and tests measure a take-over with them. Pure.

/** Gap is a span in Unix milliseconds from when the value was last known to be good to the first good sample after it. */
export interface Gap {
  fromMs: number;
  toMs: number;
}

/** mostGaps is how many gaps are kept for each tag; older ones are forgotten. */
export const mostGaps = 100;

/** GapBook keeps the gaps of all tags by index. */
export class GapBook {
  private readonly lastGood: number[] = [];
  private readonly open = new Map<number, number>(); // when the gap began
  private readonly gaps = new Map<number, Gap[]>();

  /** sample records a sample: a good one that is newer than the gap's start closes an open gap, another opens one. */
  sample(index: number, timeMs: number, good: boolean): void {
    const last = this.lastGood[index];
    if (!good) {
      if (last !== undefined && !this.open.has(index)) this.open.set(index, last);
      return;
    }
    const from = this.open.get(index);
    if (last !== undefined && timeMs <= (from ?? last)) return;
    if (from !== undefined) {
      this.open.delete(index);
      this.add(index, { fromMs: from, toMs: timeMs });
    }
    this.lastGood[index] = timeMs;
  }

  /** lost opens a gap for every tag that had a good value: the link to the server is gone, and the server last spoke at the
   * instant given. A slow tag's sample may be older than that: until then it was the present value. */
  lost(lastHeardMs: number): void {
    this.lastGood.forEach((last, index) => {
      if (!this.open.has(index)) this.open.set(index, Math.max(last, lastHeardMs));
    });
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
