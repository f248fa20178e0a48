// The plot of a trend on uPlot: one line for each pen, an axis for each of the first two units, strips for doubt.

import uPlot from "uplot";
import type { Pen } from "../core/pen";
import { clock, day, fixed } from "../core/format";
import { numberText } from "./bits";
import { client } from "./context";

/** Colours of the pens in both schemes; dashes tell them apart without colour. */
const colours = {
  light: ["#1f5f8b", "#8a4b08", "#2c6e49", "#7b2d8b", "#a02040", "#3d6b6b", "#6b5b00", "#44546a", "#8c3b2e", "#2f4b9b"],
  dark: ["#7db8e0", "#e0a564", "#86c9a0", "#cf95dd", "#f08ca0", "#93c9c9", "#d6c560", "#aebccd", "#e8a090", "#9fb4f0"],
};
const dashes = [[], [8, 3], [3, 3], [10, 3, 3, 3], [], [8, 3], [3, 3], [10, 3, 3, 3], [], [8, 3]];

const stripHeight = 4;
const mostAxes = 4;
const wideFrom = 900; // pixels: room for more than two axes
const wheelStep = 0.8;

/** ticks writes the numbers of an axis with just enough digits to tell neighbours apart. */
function ticks(_u: uPlot, splits: number[], _axis: number, _space: number, step: number): string[] {
  let digits = Math.min(6, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)));
  if (digits < 6 && Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) > 1e-6) digits++; // steps of 0.0025
  return splits.map((v) => fixed(v, digits));
}

/** states are the key of the scale of pens that are on or off or have named states, and the steps between its marks. */
const states = "states";
const stateSteps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
const longestState = 8; // signs there is room for beside the axis

export class Chart {
  /** cursorMs is the instant under the cursor, undefined when it is elsewhere. */
  cursorMs: number | undefined;
  private plot: uPlot | undefined;
  private list: readonly Pen[] = [];
  private from = 0;
  private to = 1;
  private table: uPlot.AlignedData = [[]];
  private tableOf = ""; // versions of the pens in it
  private readonly observer: ResizeObserver;

  constructor(private readonly box: HTMLElement, private readonly zoom: (fromMs: number, toMs: number) => void) {
    this.observer = new ResizeObserver(() => this.plot?.setSize(this.size()));
    this.observer.observe(box);
    box.addEventListener("wheel", this.wheel, { passive: false });
  }

  /** pens sets what is drawn. */
  pens(list: readonly Pen[]): void {
    this.list = list;
    this.restyle();
  }

  /** pixels is how many columns the plot has: more points of a pen than a few for each cannot be seen. */
  get pixels(): number {
    return Math.ceil(this.size().width * (devicePixelRatio || 1));
  }

  /** restyle builds the plot anew: other pens, other colours. */
  restyle(): void {
    this.plot?.destroy();
    this.plot = new uPlot(this.options(), this.data(), this.box);
    this.draw(this.from, this.to);
  }

  /** draw shows a window of time in Unix milliseconds. */
  draw(fromMs: number, toMs: number): void {
    this.from = fromMs;
    this.to = toMs;
    if (!this.plot) return;
    this.plot.batch(() => {
      this.plot!.setData(this.data(), false);
      for (const unit of this.units()) this.plot!.setScale(unit, this.range(unit));
      this.plot!.setScale("x", { min: fromMs / 1000, max: toMs / 1000 });
    });
  }

  destroy(): void {
    this.observer.disconnect();
    this.box.removeEventListener("wheel", this.wheel);
    this.plot?.destroy();
    this.plot = undefined;
  }

  private units(): string[] {
    return [...new Set(this.list.map((p) => this.unit(p)))];
  }

  private unit(p: Pen): string {
    return client.store.unit(client.store.find(p.tag)) || (this.discrete(p) ? states : "—");
  }

  // discrete: between two samples such a value is the first of them, not something on the way to the next.
  private discrete(p: Pen): boolean {
    const def = client.store.defs[client.store.find(p.tag)];
    return def !== undefined && (def.type === "bool" || (def.states?.length ?? 0) > 0);
  }

  // stateNames writes the marks of the axis of states: by name where its pens have the same ones, else as numbers.
  private stateNames(splits: number[]): string[] {
    const own = this.list.filter((p) => this.unit(p) === states).map((p) => client.store.find(p.tag));
    const i = new Set(own.map((o) => String(client.store.defs[o]?.states))).size === 1 ? own[0]! : -1;
    return splits.map((v) => {
      const name = i < 0 || !Number.isInteger(v) || v < 0 ? String(v) : numberText(i, v);
      return name.length > longestState ? `${name.slice(0, longestState - 1)}…` : name;
    });
  }

  private size(): { width: number; height: number } {
    return { width: Math.max(200, this.box.clientWidth), height: Math.max(120, this.box.clientHeight) };
  }

  // data is the samples of all pens in one table. With a year of ten pens that is tens of thousands of rows: it is made anew only when a
  // pen has changed.
  private data(): uPlot.AlignedData {
    const of = this.list.map((p) => `${p.tag} ${p.version}`).join();
    if (of === this.tableOf) return this.table;
    this.tableOf = of;
    this.table = this.join();
    return this.table;
  }

  private join(): uPlot.AlignedData {
    const tables = this.list.map((p): uPlot.AlignedData => [p.times.map((t) => t / 1000), p.values]);
    return tables.length === 0 ? [[]] : uPlot.join(tables, this.list.map(() => [0, 2]));
  }

  // range is the span of what the pens of a unit show in the window, with a little air.
  private range(unit: string): { min: number; max: number } {
    let min = Infinity;
    let max = -Infinity;
    for (const p of this.list) {
      if (this.unit(p) !== unit) continue;
      p.times.forEach((t, i) => {
        const v = p.values[i];
        if (v === null || v === undefined || t < this.from || t > this.to) return;
        min = Math.min(min, v);
        max = Math.max(max, v);
      });
    }
    if (unit === states) return { min: Math.min(0, min) - 0.2, max: Math.max(1, max) + 0.2 };
    if (min > max) return { min: 0, max: 1 };
    const missing = Math.max(0, this.least(unit, max) - (max - min)) / 2;
    const air = (max - min) * 0.08 + missing;
    return { min: min - air, max: max + air };
  }

  // least is the smallest span an axis shows: noise within a fiftieth of a tag's range is not blown up to a picture.
  private least(unit: string, max: number): number {
    const spans = this.list.filter((p) => this.unit(p) === unit).map((p) => {
      const def = client.store.defs[client.store.find(p.tag)];
      return def?.low !== undefined && def.high !== undefined ? (def.high - def.low) / 50 : 0;
    });
    return Math.max(...spans) || Math.max(Math.abs(max) / 100, 1);
  }

  private options(): uPlot.Options {
    const style = getComputedStyle(document.documentElement);
    const css = (name: string): string => style.getPropertyValue(name).trim();
    const dark = document.documentElement.getAttribute("data-ix-color-schema") === "dark";
    const palette = colours[dark ? "dark" : "light"];
    const line = { stroke: css("--text"), grid: { stroke: css("--hair"), width: 1 }, ticks: { stroke: css("--hair"), width: 1 }, font: `12px ${css("--sans")}` };
    const units = this.units();
    return {
      ...this.size(),
      legend: { show: false },
      cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 6 } },
      select: { show: true, left: 0, top: 0, width: 0, height: 0 },
      scales: { x: { time: true, auto: false }, ...Object.fromEntries(units.map((u) => [u, { auto: false }])) },
      series: [{}, ...this.list.map((p, i): uPlot.Series => ({ scale: this.unit(p), stroke: palette[i % palette.length]!, width: 1.5, dash: dashes[i % dashes.length]!, spanGaps: false, points: { show: false }, paths: this.discrete(p) ? uPlot.paths.stepped!({ align: 1 }) : uPlot.paths.linear!() }))],
      axes: [
        { ...line, space: 80, values: (_u, ticks) => ticks.map((s, i) => (i === 0 || day(s * 1000) !== day(ticks[i - 1]! * 1000) ? `${clock(s * 1000)}\n${day(s * 1000)}` : clock(s * 1000))) },
        ...units.slice(0, this.box.clientWidth < wideFrom ? 2 : mostAxes).map((u, i): uPlot.Axis => ({ ...line, stroke: this.axisColour(u, palette, line.stroke), scale: u, side: i % 2 === 0 ? 3 : 1, size: 58, label: u === states || u === "—" ? "" : u, labelSize: 18, labelFont: line.font, ...(u === states ? { values: (_u, splits) => this.stateNames(splits), incrs: stateSteps } : { values: ticks }), grid: { ...line.grid, show: i === 0 } })),
      ],
      hooks: { setCursor: [(u) => this.moved(u)], setSelect: [(u) => this.selected(u)], draw: [(u) => this.strips(u, palette, css("--p1"))] },
    };
  }

  // axisColour is the colour of the pen when the axis belongs to one alone.
  private axisColour(unit: string, palette: string[], otherwise: string): string {
    const own = this.list.flatMap((p, i) => (this.unit(p) === unit ? [i] : []));
    return own.length === 1 ? palette[own[0]! % palette.length]! : otherwise;
  }

  private moved(u: uPlot): void {
    const left = u.cursor.left ?? -1;
    this.cursorMs = left < 0 ? undefined : u.posToVal(left, "x") * 1000;
  }

  private selected(u: uPlot): void {
    if (u.select.width < 4) return;
    const from = u.posToVal(u.select.left, "x") * 1000;
    const to = u.posToVal(u.select.left + u.select.width, "x") * 1000;
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.zoom(from, to);
  }

  private wheel = (e: WheelEvent): void => {
    if (!this.plot || this.to <= this.from) return;
    e.preventDefault();
    const at = this.cursorMs ?? (this.from + this.to) / 2;
    const factor = e.deltaY < 0 ? wheelStep : 1 / wheelStep;
    this.zoom(at - (at - this.from) * factor, at + (this.to - at) * factor);
  };

  // strips marks, for each pen in its own row above the axis, where its value was uncertain (hatched) or missing (solid).
  private strips(u: uPlot, palette: string[], bad: string): void {
    const { ctx, bbox } = u;
    const px = devicePixelRatio || 1;
    ctx.save();
    this.list.forEach((p, row) => {
      const y = bbox.top + bbox.height - (row + 1) * (stripHeight + 1) * px;
      for (const s of p.spans(this.from, this.to)) {
        const x0 = u.valToPos(s.fromMs / 1000, "x", true);
        const x1 = u.valToPos(s.toMs / 1000, "x", true);
        ctx.fillStyle = s.grade === "bad" ? bad : palette[row % palette.length]!;
        if (s.grade === "bad") ctx.fillRect(x0, y, Math.max(px, x1 - x0), stripHeight * px);
        else for (let x = x0; x < x1; x += 6 * px) ctx.fillRect(x, y, Math.min(3 * px, x1 - x), stripHeight * px);
      }
    });
    ctx.restore();
  }
}
