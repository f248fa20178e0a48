// Trends: recorded and live values in one picture. The window either follows the present or stands still; drag to zoom, wheel to
// zoom about the cursor, arrows to move. A time without values is a hole in the line, and a strip under the plot says where a
// pen was in doubt.

import { html, nothing, type TemplateResult } from "lit";
import { csv } from "../core/csv";
import { stamp } from "../core/format";
import { Pen } from "../core/pen";
import { word } from "../core/i18n";
import type { Series } from "../core/types";
import { download, numberText, value } from "../parts/bits";
import { Chart } from "../parts/chart";
import { client, every, Part, settings } from "../parts/context";
import { keyFigures } from "../parts/figures";
import { here, link } from "../parts/routes";
import { failureText } from "../parts/say";

/** mostPens is how many pens one picture can carry and still be read. */
const mostPens = 10;
const spans = [60, 300, 900, 3600, 8 * 3600, 24 * 3600, 7 * 24 * 3600, 365 * 24 * 3600] as const;
const fewestPoints = 300; // of a pen
const mostPoints = 2000;
const reloadMs = 200;
/** mostFresh is how many live samples a pen takes in before its history is read again: that has a few for each pixel only, and a pen
 * that is full loses the beginning of its window. */
const mostFresh = 5000;
const slowestDraw = 5000; // ms
const slowestText = 950; // ms, of the readings beside the plot

export class Trends extends Part {
  protected override topics = ["status", "tags"] as const;
  private pens: Pen[] = [];
  private readonly stops = new Map<string, () => void>();
  private spanS: number = spans[1]; // 0: zoomed to some other span
  private lastSpanS: number = spans[1];
  private from = 0;
  private to = 0;
  private following = true;
  private chart: Chart | undefined;
  private error = "";
  private loadTimer = 0;
  private asked = 0;
  private wasStale = false;
  private started = false;
  private look = "";
  private drawnAt = 0;
  private toldAt = 0;

  override connectedCallback(): void {
    super.connectedCallback();
    this.follow();
    this.until(every(250, () => this.step()));
    this.until(() => {
      for (const stop of this.stops.values()) stop();
      this.stops.clear();
      this.chart?.destroy();
      this.chart = undefined;
    });
    this.begin();
  }

  protected override refresh(): void {
    this.begin();
    if (this.wasStale !== client.stale) {
      this.wasStale = client.stale;
      if (client.stale) for (const p of this.pens) p.hole(client.serverNow());
      else this.reload(); // what was missed is in the history of the server in use
    }
    // The plot is built anew for other colours, words or units only: signs of life come every second.
    const look = `${settings.theme} ${settings.lang} ${client.texts.version} ${client.store.shape}`;
    if (look !== this.look) this.chart?.restyle();
    this.look = look;
    this.requestUpdate();
  }

  protected override firstUpdated(): void {
    const box = this.querySelector<HTMLElement>("#plot")!;
    this.chart = new Chart(box, (from, to) => this.zoom(from, to));
    this.chart.pens(this.pens);
    this.draw();
  }

  protected override render(): TemplateResult {
    const t = settings.t;
    return html`<div class="page-head">
        <h1>${t("page.trends")}</h1>
        <form @submit=${this.addFromInput}><input class="in search" id="add-pen" list="tag-names" aria-label=${t("trend.add")} placeholder=${t("trend.add")} autocomplete="off" ?disabled=${this.pens.length >= mostPens} @change=${this.addFromInput} /></form>
        <datalist id="tag-names">${this.candidates().map((n) => html`<option value=${n}></option>`)}</datalist>
        <div class="group" role="group" aria-label=${t("trend.span")}>
          ${spans.map((s) => html`<button type="button" class="btn" aria-pressed=${this.spanS === s} @click=${() => this.setSpan(s)}>${word(t, "span", String(s))}</button>`)}
        </div>
        <div class="group" role="group" aria-label=${t("trend.move")}>
          <button type="button" class="btn" id="trend-back" aria-label=${t("trend.back")} title=${t("trend.back")} @click=${() => this.pan(-0.5)}>◀</button>
          <button type="button" class="btn" id="trend-in" aria-label=${t("trend.zoomIn")} title=${t("trend.zoomIn")} @click=${() => this.scale(0.5)}>+</button>
          <button type="button" class="btn" aria-label=${t("trend.zoomOut")} title=${t("trend.zoomOut")} @click=${() => this.scale(2)}>−</button>
          <button type="button" class="btn" aria-label=${t("trend.forward")} title=${t("trend.forward")} @click=${() => this.pan(0.5)}>▶</button>
        </div>
        <button type="button" class="btn" id="trend-live" aria-pressed=${this.following} @click=${this.follow}>${t("trend.live")}</button>
        <span class="space"></span>
        <button type="button" class="btn" id="trend-csv" ?disabled=${this.pens.length === 0} @click=${this.save}>CSV</button>
      </div>
      ${this.error === "" ? nothing : html`<div class="error" role="alert">${this.error}</div>`}
      <div class="pens" role="list" aria-label=${t("trend.pens")}>${this.pens.map((p, n) => this.chip(p, n))}</div>
      <div class="plot card" id="plot" role="img" aria-label=${t("trend.plot", { pens: this.pens.map((p) => p.tag).join(", ") })}></div>
      <div class="note">${this.chart?.cursorMs === undefined ? t(client.stale ? "trend.noLink" : "trend.hint") : html`<span class="code">${t("trend.at", { time: stamp(this.chart.cursorMs) })}</span>`}</div>`;
  }

  private chip(p: Pen, n: number): TemplateResult {
    const t = settings.t;
    const i = client.store.find(p.tag);
    const cursor = this.chart?.cursorMs;
    const at = cursor === undefined ? undefined : p.at(cursor);
    const reading = cursor === undefined ? value(i, false) : html`<span class="val ${at === undefined || at.grade !== "good" ? "doubt" : ""}">${at?.value == null ? "—" : numberText(i, at.value)}</span> <span class="unit">${client.store.unit(i)}</span>`;
    return html`<span class="chip pen" role="listitem" data-pen=${p.tag} data-samples=${p.times.length} data-doubts=${p.spans(this.from, this.to).length}><svg class="swatch pen-${n}" width="18" height="10" aria-hidden="true"><line x1="0" y1="5" x2="18" y2="5"></line></svg>
      <span class="pen-name">${p.tag}</span><span class="pen-value">${reading}</span><button type="button" aria-label=${t("trend.remove", { tag: p.tag })} @click=${() => this.remove_(p.tag)}>×</button></span>`;
  }

  // The first pens come from the address, else from the last visit, else from the key figures.
  private begin(): void {
    if (this.started || client.store.shape === 0 || !client.store.defs.some((d) => d !== undefined)) return;
    this.started = true;
    const asked = here().params.get("pens") ?? sessionStorage.getItem("scada.pens") ?? "";
    const names = asked === "" ? keyFigures().slice(0, 3).map((i) => client.store.names[i]!) : asked.split(",");
    for (const name of names) this.add(name);
  }

  private candidates(): string[] {
    return client.store.defs.flatMap((d) => (d && d.type !== "string" ? [d.name] : []));
  }

  private addFromInput = (e: Event): void => {
    e.preventDefault();
    const input = this.querySelector<HTMLInputElement>("#add-pen")!;
    if (client.store.find(input.value) < 0) return;
    this.add(input.value);
    input.value = "";
  };

  private add(name: string): void {
    const i = client.store.find(name);
    if (i < 0 || this.pens.length >= mostPens || this.pens.some((p) => p.tag === name)) return;
    const pen = new Pen(name);
    this.pens = [...this.pens, pen];
    this.stops.set(name, client.store.watch(i, (timeMs, v) => pen.live(timeMs, v, client.store.grade(i))));
    this.changed();
  }

  private remove_(name: string): void {
    this.stops.get(name)?.();
    this.stops.delete(name);
    this.pens = this.pens.filter((p) => p.tag !== name);
    this.changed();
  }

  private changed(): void {
    const names = this.pens.map((p) => p.tag).join(",");
    sessionStorage.setItem("scada.pens", names);
    history.replaceState(null, "", link("trends", { pens: names }));
    this.chart?.pens(this.pens);
    this.reload();
    this.requestUpdate();
  }

  private follow = (): void => {
    this.following = true;
    if (this.spanS === 0) this.spanS = this.lastSpanS; // back from a zoom to the span chosen before it
    this.to = client.serverNow();
    this.from = this.to - this.spanS * 1000;
    this.reload();
    this.requestUpdate();
  };

  private setSpan(s: number): void {
    this.spanS = s;
    this.lastSpanS = s;
    if (!this.following) this.from = this.to - s * 1000;
    else this.follow();
    this.reload();
    this.requestUpdate();
  }

  private zoom(from: number, to: number): void {
    if (!(to - from >= 1000)) return;
    this.following = false;
    this.spanS = 0;
    this.from = from;
    this.to = to;
    this.reload();
    this.draw();
    this.requestUpdate();
  }

  private pan(share: number): void {
    const by = (this.to - this.from) * share;
    const end = Math.min(client.serverNow(), this.to + by);
    this.zoom(end - (this.to - this.from), end);
  }

  private scale(factor: number): void {
    const half = ((this.to - this.from) * factor) / 2;
    const mid = (this.to + this.from) / 2;
    const end = Math.min(client.serverNow(), mid + half);
    this.zoom(end - 2 * half, end);
  }

  // A window moves by a pixel in a thousandth of its span or so: drawing it much more often shows nothing new.
  private step(): void {
    const now = performance.now();
    const moving = this.chart?.cursorMs !== undefined;
    if (moving || now - this.toldAt >= slowestText - 20) {
      this.toldAt = now;
      this.requestUpdate();
    }
    if (!moving && now - this.drawnAt < Math.min(slowestDraw, (this.to - this.from) / 600) - 20) return;
    this.drawnAt = now;
    if (this.following) {
      this.to = client.serverNow();
      this.from = this.to - this.spanS * 1000;
    }
    if (this.pens.some((p) => p.fresh > mostFresh)) {
      for (const p of this.pens) p.fresh = 0;
      this.reload();
    }
    this.draw();
  }

  private draw(): void {
    this.chart?.draw(this.from, this.to);
  }

  private reload(): void {
    clearTimeout(this.loadTimer);
    this.loadTimer = window.setTimeout(() => void this.load(), reloadMs);
  }

  private async load(): Promise<void> {
    if (this.pens.length === 0 || client.stale) return;
    const asked = ++this.asked;
    const to = this.to;
    const pens = this.pens;
    try {
      const answer = await this.query(pens, this.from, to, this.points());
      if (asked !== this.asked) return;
      for (const series of answer) pens.find((p) => p.tag === series.tag)?.history(series.samples, to);
      this.error = "";
    } catch (e) {
      if (asked === this.asked) this.error = settings.t("trend.failed", { why: failureText(e) });
    }
    this.draw();
    this.requestUpdate();
  }

  private points(): number {
    return Math.min(mostPoints, Math.max(fewestPoints, this.chart?.pixels ?? fewestPoints));
  }

  private async query(pens: readonly Pen[], from: number, to: number, points: number): Promise<Series[]> {
    const q = new URLSearchParams({ from: new Date(from).toISOString(), to: new Date(to).toISOString(), points: String(points) });
    for (const p of pens) q.append("tag", p.tag);
    return (await client.call<{ series: Series[] }>("GET", `/history?${q}`)).series;
  }

  private save = (): void => {
    const rows = this.pens.flatMap((p) => p.times.flatMap((t, n): (string | number)[][] => (t >= this.from && t <= this.to ? [[stamp(t), p.tag, p.values[n] ?? "", client.store.unit(client.store.find(p.tag)), p.grades[n]!]] : [])));
    rows.sort((a, b) => (a[0]! < b[0]! ? -1 : 1));
    download("trend.csv", "text/csv", csv([["time", "tag", "value", "unit", "quality"], ...rows]));
  };
}

customElements.define("scada-trends", Trends);

