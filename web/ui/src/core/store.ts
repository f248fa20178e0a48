// The present values of all tags, in typed arrays by an index of the page's own that outlives servers and reloads of the plant.
// Pure: the instants come in with the data.

import { GapBook } from "./gaps";
import { grade, type Grade } from "./quality";
import type { Tag } from "./types";

/** Watcher is told each accepted sample of a tag. */
export type Watcher = (timeMs: number, value: number, good: boolean) => void;

export class Store {
  readonly names: string[] = [];
  readonly defs: (Tag | undefined)[] = [];
  readonly gapBook = new GapBook();
  /** version grows with every change of a value, shape with every new tag or definition. */
  version = 0;
  shape = 0;

  values = new Float64Array(256).fill(NaN);
  times = new Float64Array(256).fill(NaN);
  private grades: Grade[] = [];
  private qualities: string[] = [];
  private readonly texts = new Map<number, string>();
  private readonly byName = new Map<string, number>();
  private readonly units: string[] = [];
  private handles = new Map<number, number>();
  private readonly watchers = new Map<number, Set<Watcher>>();

  get size(): number {
    return this.names.length;
  }

  /** find returns the index of a tag, or -1. */
  find(name: string): number {
    return this.byName.get(name) ?? -1;
  }

  /** index returns the index of a tag, new when it was unknown. */
  index(name: string): number {
    const known = this.byName.get(name);
    if (known !== undefined) return known;
    const i = this.names.length;
    this.names.push(name);
    this.byName.set(name, i);
    this.defs[i] = undefined;
    this.units[i] = "";
    this.grades[i] = "bad";
    this.qualities[i] = "Bad_WaitingForInitialData";
    if (i >= this.values.length) this.grow();
    this.shape++;
    return i;
  }

  /** define takes over the definitions of tags; a tag missing from the list is no longer in the plant and loses its definition. */
  define(tags: readonly Tag[]): void {
    this.defs.fill(undefined);
    for (const tag of tags) this.defs[this.index(tag.name)] = tag;
    this.shape++;
  }

  /** bind takes over the handles a server gave; those of another server or revision are forgotten. */
  bind(handles: readonly [number, string, string, string][]): void {
    this.handles = new Map();
    for (const [handle, name, unit] of handles) {
      const i = this.index(name);
      this.units[i] = unit;
      this.handles.set(handle, i);
    }
  }

  /** lookup returns the index behind a handle, or -1. */
  lookup(handle: number): number {
    return this.handles.get(handle) ?? -1;
  }

  /** put stores a sample. */
  put(i: number, value: number, timeMs: number, quality: string): void {
    const g = grade(quality);
    this.values[i] = value;
    this.times[i] = timeMs;
    this.grades[i] = g;
    this.qualities[i] = quality;
    this.gapBook.sample(i, timeMs, g === "good");
    this.watchers.get(i)?.forEach((w) => w(timeMs, value, g !== "bad"));
    this.version++;
  }

  /** text stores the text of a tag; it comes just before the frame with its time and quality. */
  text(i: number, text: string): void {
    this.texts.set(i, text);
  }

  grade(i: number): Grade {
    return this.grades[i] ?? "bad";
  }

  quality(i: number): string {
    return this.qualities[i] ?? "Bad_WaitingForInitialData";
  }

  textOf(i: number): string | undefined {
    return this.texts.get(i);
  }

  unit(i: number): string {
    return this.defs[i]?.unit ?? this.units[i] ?? "";
  }

  /** watch calls the watcher for each sample of the tag until the returned function is called. */
  watch(i: number, watcher: Watcher): () => void {
    const set = this.watchers.get(i) ?? new Set();
    set.add(watcher);
    this.watchers.set(i, set);
    return () => set.delete(watcher);
  }

  private grow(): void {
    const bigger = (old: Float64Array): Float64Array<ArrayBuffer> => {
      const next = new Float64Array(old.length * 2).fill(NaN);
      next.set(old);
      return next;
    };
    this.values = bigger(this.values);
    this.times = bigger(this.times);
  }
}
