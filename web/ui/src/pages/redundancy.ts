// Redundancy: both nodes side by side, the areas, the paths between them, how far the standby has followed, whether it could take
// over and why not, what the last switch-over cost, what was merged, and the orders.

import { html, nothing, type TemplateResult } from "lit";
import { count, duration, instant, latency, stamp } from "../core/format";
import { word } from "../core/i18n";
import type { Area, Node, Pair, Switch } from "../core/types";
import { client, every, Part, settings } from "../parts/context";
import { areaNames, duty, sorted } from "../parts/pair";
import "../parts/roleevents";
import { orders, switchTo } from "../parts/roleorders";
import { say } from "../parts/say";

export class Redundancy extends Part {
  protected override topics = ["role", "status", "session"] as const;

  override connectedCallback(): void {
    super.connectedCallback();
    this.until(every(1000, () => this.requestUpdate()));
  }

  protected override render(): TemplateResult {
    const t = settings.t;
    const pair = client.pair;
    if (!pair) return html`<div class="page-head"><h1>${t("page.redundancy")}</h1></div><div class="empty">${t("role.unknown")}</div>`;
    return html`<div class="page-head"><h1>${t("page.redundancy")}</h1><span class="quiet">${t("role.seenBy", { node: client.link.server })}</span><span class="space"></span>${orders()}</div>
      ${areaNames(pair).length > 1 ? this.areas(pair) : nothing}
      <div class="pair">${sorted(pair).map((n) => this.node(n, areaNames(pair).length > 1))}</div>
      ${this.lastSwitch(pair.last_switch)}
      <scada-role-events></scada-role-events>`;
  }

  // With several areas each may act on another node: one line for each area says where.
  private areas(pair: Pair): TemplateResult {
    const t = settings.t;
    const nodes = sorted(pair);
    const off = !client.may("role.change") || client.stale;
    return html`<section class="card" aria-label=${t("role.areas")}><table class="grid" id="area-table">
      <thead><tr><th>${t("tag.area")}</th>${nodes.map((n) => html`<th>${t("overview.node", { node: n.node })}</th>`)}<th class="num">${t("role.epoch")}</th><th>${t("role.reasonShort")}</th><th><span class="sr">${t("alarm.actions")}</span></th></tr></thead>
      <tbody>${areaNames(pair).map((name) => {
        const cells = nodes.map((n) => (n.reachable ? (n.areas ?? []).find((a) => a.area === name) : undefined));
        const acting = cells.filter((a) => a?.role === "active");
        const to = nodes.find((_, i) => cells[i]?.role === "standby")?.node;
        return html`<tr data-area=${name}><td>${name}</td>
          ${cells.map((a) => html`<td class=${acting.length === 1 ? "" : "q-bad"}><span class="tag-state"><span class="dot ${a?.role === "active" ? "" : "off"}" aria-hidden="true"></span>${word(t, "duty", a?.role ?? "unreachable")}</span></td>`)}
          <td class="num">${Math.max(0, ...cells.map((a) => a?.epoch ?? 0))}</td><td class="message quiet">${say(acting[0]?.reason)}</td>
          <td class="num">${to === undefined ? nothing : html`<button type="button" class="btn small" ?disabled=${off} @click=${() => switchTo(to, name)}>${t("role.areaTo", { node: to })}</button>`}</td></tr>`;
      })}</tbody></table></section>`;
  }

  private node(n: Node, brief: boolean): TemplateResult {
    const t = settings.t;
    const d = duty(n);
    return html`<section class="card node ${d === "active" || d === "standby" || d === "mixed" ? "" : "abnormal"}" data-node=${n.node} aria-label=${t("overview.node", { node: n.node })}>
      <header><span class="dot ${d === "active" ? "" : "off"}" aria-hidden="true"></span><h2>${t("overview.node", { node: n.node })}</h2><span class="quiet">${word(t, "designation", n.designation)}</span><span class="space"></span><strong>${word(t, "duty", d)}</strong></header>
      ${n.reachable ? this.details(n, brief) : html`<div class="body"><div class="q-uncertain">${t("role.noAnswer")}</div></div>`}
    </section>`;
  }

  private details(n: Node, brief: boolean): TemplateResult {
    const t = settings.t;
    const reasons = n.not_ready ?? [];
    return html`<div class="body">
        ${brief ? nothing : (n.areas ?? []).map((a) => this.area(a))}
        <dl class="facts">
          <dt>${t("role.ready")}</dt><dd>${n.failover_ready ? t("role.readyYes") : html`<span class="q-uncertain">${t("role.readyNo")}</span>`}${reasons.length > 0 ? html`<ul class="reasons">${reasons.map((r) => html`<li>${say(r)}</li>`)}</ul>` : nothing}</dd>
          <dt>${t("role.score")}</dt><dd>${n.score}</dd>
          <dt>${t("role.mirror")}</dt><dd>${duty(n) === "active" ? "—" : t("role.mirrorText", { lag: n.mirror.lag_ms, applied: count(n.mirror.applied_seq), durable: count(n.mirror.durable_seq) })}</dd>
          <dt>${t("role.backfill")}</dt><dd>${n.backfill.remaining > 0 ? t("role.backfillLeft", { n: count(n.backfill.remaining) }) : t("role.backfillNone")}${n.backfill.verified_at ? html` <span class="quiet">${t("role.verified", { at: stamp(instant(n.backfill.verified_at)) })}</span>` : nothing}</dd>
          <dt>${t("role.version")}</dt><dd>${n.version || "—"} <span class="code quiet">${n.config_digest.slice(0, 12)}</span></dd>
        </dl>
        <table class="grid paths">
          <thead><tr><th>${t("role.path")}</th><th>${t("role.pathState")}</th><th class="num">${t("role.rtt")}</th><th class="num">${t("role.lost")}</th></tr></thead>
          <tbody>${(n.paths ?? []).map((p) => html`<tr><td>${p.name}</td><td class=${p.up ? "" : "q-bad"}>${p.up ? t("role.pathUp") : t("role.pathDown")}</td><td class="num">${p.up ? latency(p.rtt_ms) : "—"}</td><td class="num">${count(p.lost)}</td></tr>`)}</tbody>
        </table>
      </div>`;
  }

  private area(a: Area): TemplateResult {
    const t = settings.t;
    const since = instant(a.since);
    return html`<div class="area"><span class="chip">${a.area}</span><strong>${word(t, "duty", a.role)}</strong><span>${t("role.epochText", { epoch: a.epoch })}</span>
      ${a.confirmed || a.role !== "active" ? nothing : html`<span class="q-uncertain">${t("role.unconfirmed")}</span>`}
      <span class="quiet">${Number.isFinite(since) ? duration(client.serverNow() - since) : ""}</span><span class="quiet why">${say(a.reason)}</span></div>`;
  }

  private lastSwitch(s: Switch | null): TemplateResult {
    const t = settings.t;
    return html`<section class="card" aria-label=${t("switch.title")} id="last-switch">
      <header><h2>${t("switch.title")}</h2>${s ? html`<span class="space"></span><span class="code">${stamp(instant(s.at))}</span>` : nothing}</header>
      <div class="body">${s ? this.record(s) : html`<span class="quiet">${t("switch.none")}</span>`}</div>
    </section>`;
  }

  private record(s: Switch): TemplateResult {
    const t = settings.t;
    const cell = (label: string, text: string | number): TemplateResult => html`<div class="tile"><span class="n">${text}</span><span class="quiet">${label}</span></div>`;
    return html`<p>${t("switch.text", { area: s.area, from: s.from, to: s.to, kind: word(t, "switchKind", s.kind) })} <span class="quiet">${say(s.reason)}</span></p>
      <div class="tiles">
        ${cell(t("switch.detect"), `${s.detect_ms} ms`)} ${cell(t("switch.activate"), `${s.activate_ms} ms`)} ${cell(t("switch.firstValue"), `${s.first_value_ms} ms`)} ${cell(t("switch.missed"), s.missed_slots)} ${cell(t("switch.duplicates"), s.duplicates)}
      </div>`;
  }
}

customElements.define("scada-redundancy", Redundancy);
