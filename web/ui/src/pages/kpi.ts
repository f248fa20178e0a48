// KPIs: how the alarm system performs, against the targets of ISA-18.2: how many alarms an operator gets, whether in floods, which
// ones make the most of them, and how long they wait.

import { html, nothing, svg, type TemplateResult } from "lit";
import { csv } from "../core/csv";
import { age, brief, clock, count, fixed, instant, stamp } from "../core/format";
import { word } from "../core/i18n";
import type { AlarmCount, Kpi } from "../core/types";
import { download, priority } from "../parts/bits";
import { client, Part, settings } from "../parts/context";
import { link } from "../parts/routes";
import { failureText } from "../parts/say";

const spans = [8, 24, 7 * 24, 30 * 24] as const; // hours
const refreshMs = 60_000;

/** Targets of ISA-18.2 and EEMUA 191 for one operator. */
const target = { average: 1, peak: 10, flood: 1, top: 5 } as const;

/** urgency are the names of the priorities, the most urgent first. */
const urgency = ["critical", "high", "medium", "low", "journal"] as const;

/** mostBars is how many bars the picture has; longer times put several periods into one. */
const mostBars = 160;

export class Kpis extends Part {
  protected override topics = ["status"] as const;
  private hours: number = spans[0];
  private kpi: Kpi | undefined;
  private error = "";
  private asked = 0;
  private wasStale = true;

  override connectedCallback(): void {
    super.connectedCallback();
    const timer = setInterval(() => void this.load(), refreshMs);
    this.until(() => clearInterval(timer));
    this.refresh();
  }

  protected override refresh(): void {
    if (this.wasStale && !client.stale) void this.load();
    this.wasStale = client.stale;
    this.requestUpdate();
  }

  protected override render(): TemplateResult {
    const t = settings.t;
    return html`<div class="page-head">
        <h1>${t("page.kpi")}</h1>
        <div class="group" role="group" aria-label=${t("trend.span")}>
          ${spans.map((h) => html`<button type="button" class="btn" aria-pressed=${this.hours === h} @click=${() => this.choose(h)}>${word(t, "kpiSpan", String(h))}</button>`)}
        </div>
        <span class="space"></span>
        ${this.kpi ? html`<span class="quiet code">${stamp(instant(this.kpi.from)).slice(0, 16)} – ${stamp(instant(this.kpi.to)).slice(0, 16)}</span>` : nothing}
        <button type="button" class="btn" ?disabled=${!this.kpi} @click=${this.save}>CSV</button>
      </div>
      ${this.error === "" ? nothing : html`<div class="error" role="alert">${this.error}</div>`}
      ${this.kpi ? this.report(this.kpi) : html`<div class="empty">${client.stale ? t("link.needed") : this.error === "" ? t("kpi.loading") : nothing}</div>`}`;
  }

  private report(k: Kpi): TemplateResult {
    const t = settings.t;
    const ack = (s: number): string => (s > 0 ? age(s * 1000) : "—");
    return html`<div class="kpi-grid">
        ${this.figure(t("kpi.average"), fixed(k.per_10min_average, 2), t("kpi.target", { value: target.average }), k.per_10min_average > target.average)}
        ${this.figure(t("kpi.peak"), count(k.per_10min_peak), t("kpi.target", { value: target.peak }), k.per_10min_peak > target.peak)}
        ${this.figure(t("kpi.flood"), `${fixed(k.flood_percent, 1)} %`, t("kpi.floodTarget", { value: target.flood, n: k.flood_count }), k.flood_percent > target.flood)}
        ${this.figure(t("kpi.top"), `${fixed(k.top_percent, 0)} %`, t("kpi.target", { value: `${target.top} %` }), k.alarms >= 100 && k.top_percent > target.top)}
        ${this.figure(t("kpi.ackMedian"), ack(k.ack_median_s), k.ack_p95_s > 0 ? t("kpi.ackSlow", { value: ack(k.ack_p95_s) }) : t("kpi.ackNone"), false)}
        ${this.figure(t("kpi.total"), count(k.alarms), t("kpi.now", { active: k.active_now, unacked: k.unacknowledged, shelved: k.shelved_now, oos: k.out_of_service_now }), false)}
      </div>
      <section class="card" aria-label=${t("kpi.rate")}><header><h2>${t("kpi.rate")}</h2><span class="space"></span><span class="quiet">${t("kpi.floodLine")}</span></header><div class="body">${rate(k)}</div></section>
      <div class="kpi-lists">
        ${this.list(t("kpi.frequent"), k.top, true)} ${this.priorities(k)} ${this.list(t("kpi.chattering"), k.chattering, false)} ${this.list(t("kpi.fleeting"), k.fleeting, false)} ${this.list(t("kpi.stale"), k.stale, false)}
      </div>`;
  }

  private figure(what: string, value: string, note: string, over: boolean): TemplateResult {
    return html`<section class="card kpi ${over ? "over" : ""}" aria-label=${what}><span class="what">${what}</span><span class="n">${value}</span><span class="quiet">${over ? html`<strong>${settings.t("kpi.over")}</strong> · ` : nothing}${note}</span></section>`;
  }

  private list(title: string, rows: AlarmCount[] | null, counted: boolean): TemplateResult {
    const t = settings.t;
    const list = rows ?? [];
    const most = Math.max(1, ...list.map((r) => r.count));
    return html`<section class="card" aria-label=${title}><header><h2>${title}</h2><span class="space"></span><span class="quiet">${list.length > 0 ? list.length : nothing}</span></header>
      ${list.length === 0
        ? html`<div class="body quiet">${t("kpi.none")}</div>`
        : html`<table class="grid"><tbody>${list.map(
            (r) => html`<tr><td class="cut"><a class="rowlink" href=${link("journal", { source: r.id })}>${r.id}</a></td>${counted
              ? html`<td class="share"><svg class="gauge" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="100" height="10"></rect><rect class="mark" width=${(100 * r.count) / most} height="10"></rect></svg></td><td class="num">${count(r.count)}</td>`
              : nothing}</tr>`,
          )}</tbody></table>`}
    </section>`;
  }

  private priorities(k: Kpi): TemplateResult {
    const t = settings.t;
    const entries = urgency.map((name, i) => ({ name, level: i + 1, n: k.by_priority?.[name] ?? 0 })).filter((e) => e.n > 0);
    const most = Math.max(1, ...entries.map((e) => e.n));
    return html`<section class="card" aria-label=${t("kpi.byPriority")}><header><h2>${t("kpi.byPriority")}</h2></header>
      ${entries.length === 0
        ? html`<div class="body quiet">${t("kpi.none")}</div>`
        : html`<table class="grid"><tbody>${entries.map(
            ({ name, level, n }) => html`<tr><td>${level <= 4 ? priority(level, false) : nothing} ${word(t, "kpiPriority", name)}</td><td class="share"><svg class="gauge" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="100" height="10"></rect><rect class="mark" width=${(100 * n) / most} height="10"></rect></svg></td><td class="num">${count(n)}</td></tr>`,
          )}</tbody></table>`}
    </section>`;
  }

  private choose(hours: number): void {
    this.hours = hours;
    void this.load();
  }

  private async load(): Promise<void> {
    if (client.stale) return;
    const asked = ++this.asked;
    try {
      const kpi = await client.call<Kpi>("GET", `/kpi?from=-${this.hours}h`);
      if (asked !== this.asked) return;
      this.kpi = kpi;
      this.error = "";
    } catch (e) {
      if (asked === this.asked) this.error = failureText(e);
    }
    this.requestUpdate();
  }

  private save = (): void => {
    const k = this.kpi;
    if (!k) return;
    const rows = (k.per_10min ?? []).map((p) => [stamp(instant(p.time)), p.count]);
    download("kpi.csv", "text/csv", csv([["time", "alarms in 10 min"], ...rows]));
  };
}

// rate draws the alarms of each ten minutes; of long times the worst ten minutes of each bar.
function rate(k: Kpi): TemplateResult {
  const points = k.per_10min ?? [];
  const each = Math.max(1, Math.ceil(points.length / mostBars));
  const bars: { at: number; n: number }[] = [];
  for (let i = 0; i < points.length; i += each) {
    bars.push({ at: instant(points[i]!.time), n: Math.max(...points.slice(i, i + each).map((p) => p.count)) });
  }
  const top = Math.max(12, ...bars.map((b) => b.n));
  const width = 1000 / Math.max(1, bars.length);
  const y = (n: number): number => 100 - (100 * n) / top;
  const ends = [bars[0], bars[Math.floor(bars.length / 2)], bars.at(-1)].filter((b) => b !== undefined);
  return html`<div class="rate"><svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label=${settings.t("kpi.rate")}>
      <line class="limit" x1="0" x2="1000" y1=${y(target.peak)} y2=${y(target.peak)}></line>
      ${bars.map((b, i) => svg`<rect class=${b.n > target.peak ? "bar over" : "bar"} x=${(i * width).toFixed(2)} y=${y(b.n).toFixed(2)} width=${Math.max(1, width - 1).toFixed(2)} height=${((100 * b.n) / top).toFixed(2)}><title>${brief(b.at, client.serverNow())} · ${b.n}</title></rect>`)}
    </svg><div class="axis code quiet">${ends.map((b) => html`<span>${k.per_10min!.length > 150 ? stamp(b.at).slice(5, 16) : clock(b.at).slice(0, 5)}</span>`)}</div></div>`;
}

customElements.define("scada-kpi", Kpis);
