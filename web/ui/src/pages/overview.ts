// Overview: how the pair stands, what the alarms and devices are up to, and the plant's key figures.

import { html, nothing, type TemplateResult } from "lit";
import { brief, instant, latency } from "../core/format";
import { word } from "../core/i18n";
import type { JournalEntry, Node } from "../core/types";
import { doubt, gauge, priority, value } from "../parts/bits";
import { client, Part, settings } from "../parts/context";
import { faceplate } from "../parts/faceplate";
import { keyFigures } from "../parts/figures";
import { duty, epochOf, sorted } from "../parts/pair";
import { link } from "../parts/routes";
import { actor, local, say } from "../parts/say";

/** healthyStates are the device states that need no attention on the node that says them. */
const healthyStates = new Set(["connected", "standby", "probing"]);

/** eventRows is how many entries of the journal are shown. */
const eventRows = 12;

/** latest joins what was read with what came since, newest first. */
function latest(read: readonly JournalEntry[], since: readonly JournalEntry[]): JournalEntry[] {
  const byId = new Map([...read, ...since].map((e) => [e.id, e]));
  return [...byId.values()].sort((a, b) => instant(b.time) - instant(a.time)).slice(0, eventRows);
}

export class Overview extends Part {
  protected override topics = ["values", "tags", "alarms", "role", "devices", "journal", "status"] as const;
  private last = 0;
  private recent: JournalEntry[] = [];
  private loaded = false;

  // Key figures are read by people: five times a second is plenty.
  protected override refresh(): void {
    if (!this.loaded && client.link.live) {
      this.loaded = true;
      void this.loadRecent();
    }
    const now = performance.now();
    if (now - this.last < 200 && client.link.live) return;
    this.last = now;
    this.requestUpdate();
  }

  protected override render(): TemplateResult {
    const t = settings.t;
    return html`<div class="page-head"><h1>${t("page.overview")}</h1></div>
      <div class="cards">
        ${client.pair ? sorted(client.pair).map((n) => this.node(n)) : nothing} ${this.alarms()} ${this.devices()}
      </div>
      <section class="card figures" aria-label=${t("overview.figures")}>
        <header><h2>${t("overview.figures")}</h2><span class="space"></span><a href=${link("mimic")}>${t("page.mimic")}</a></header>
        <div class="figure-grid">${keyFigures().map((i) => this.figure(i))}</div>
      </section>
      ${this.events()}`;
  }

  private node(n: Node): TemplateResult {
    const t = settings.t;
    const d = duty(n);
    return html`<section class="card node ${d === "active" || d === "standby" || d === "mixed" ? "" : "abnormal"}" aria-label=${t("overview.node", { node: n.node })}>
      <header><span class="dot ${d === "active" ? "" : "off"}" aria-hidden="true"></span><h2>${t("overview.node", { node: n.node })}</h2><span class="space"></span><strong>${word(t, "duty", d)}</strong></header>
      <div class="body">${n.reachable ? nothing : html`<div class="q-uncertain">${t("role.noAnswer")}</div>`}<dl class="facts">
        <dt>${t("role.designation")}</dt><dd>${word(t, "designation", n.designation)}</dd>
        ${n.reachable ? this.nodeFacts(n) : nothing}
      </dl></div>
    </section>`;
  }

  private nodeFacts(n: Node): TemplateResult {
    const t = settings.t;
    const up = (n.paths ?? []).filter((p) => p.up);
    return html`<dt>${t("role.epoch")}</dt><dd>${epochOf(n)}</dd>
        <dt>${t("role.paths")}</dt><dd>${t("role.pathsUp", { up: up.length, all: (n.paths ?? []).length, rtt: latency(up.length === 0 ? undefined : Math.min(...up.map((p) => p.rtt_ms))) })}</dd>
        <dt>${t("role.ready")}</dt><dd>${n.failover_ready ? t("role.readyYes") : html`<span class="q-uncertain">${t("role.readyNo")}</span>`}</dd>`;
  }

  private alarms(): TemplateResult {
    const t = settings.t;
    const c = client.alarms.counts();
    return html`<section class="card" aria-label=${t("page.alarms")}>
      <header><h2>${t("page.alarms")}</h2><span class="space"></span><a href=${link("alarms")}>${t("action.open")}</a></header>
      <div class="body">
        <div class="tiles">
          <div class="tile"><span class="n">${c.unacked}</span><span class="quiet">${t("alarm.unackedShort")}</span></div>
          <div class="tile"><span class="n">${c.active}</span><span class="quiet">${t("alarm.activeShort")}</span></div>
          <div class="tile"><span class="n">${c.overlaid}</span><span class="quiet">${t("alarm.hiddenShort")}</span></div>
        </div>
        <div class="prios">${[1, 2, 3, 4].map((p) => html`<span class="tag-state">${priority(p, false)} ${c.byPriority[p]}</span>`)}</div>
      </div>
    </section>`;
  }

  private devices(): TemplateResult {
    const t = settings.t;
    const sick = client.devices.filter((d) => !healthyStates.has(d.state));
    let bad = 0;
    let total = 0;
    for (let i = 0; i < client.store.size; i++) {
      if (!client.store.defs[i]) continue;
      total++;
      if (doubt(i) !== "") bad++;
    }
    const newest = sick.sort((x, y) => instant(y.since ?? "") - instant(x.since ?? "")).slice(0, 2);
    return html`<section class="card" aria-label=${t("page.devices")}>
      <header><h2>${t("page.devices")}</h2><span class="space"></span><a href=${link("devices")}>${t("action.open")}</a></header>
      <div class="body">
        <div class="tiles">
          <div class="tile"><span class="n">${client.devices.length - sick.length}<span class="quiet">/${client.devices.length}</span></span><span class="quiet">${t("device.healthy")}</span></div>
          <div class="tile"><span class="n ${bad > 0 ? "q-uncertain" : ""}">${bad}<span class="quiet">/${total}</span></span><span class="quiet">${t("tag.inDoubt")}</span></div>
        </div>
        ${newest.map((d) => html`<div class="q-bad one-line">${d.name}: ${word(t, "deviceState", d.state)}</div>`)}
      </div>
    </section>`;
  }

  private events(): TemplateResult {
    const t = settings.t;
    const entries = latest(this.recent, client.journal);
    return html`<section class="card events">
      <header><h2>${t("overview.events")}</h2><span class="space"></span><a href=${link("journal")}>${t("page.journal")}</a></header>
      <div class="scroll" tabindex="0" role="region" aria-label=${t("overview.events")}><table class="grid"><tbody>
        ${entries.map((e) => html`<tr><td class="code">${brief(instant(e.time), client.serverNow())}</td><td>${word(t, "kind", e.kind)}</td><td>${word(t, "event", e.event)}</td><td>${e.source}</td><td class="message">${say(e.message)}</td><td>${actor(e)}</td></tr>`)}
      </tbody></table></div>
    </section>`;
  }

  private async loadRecent(): Promise<void> {
    try {
      this.recent = (await client.call<{ entries: JournalEntry[] }>("GET", `/journal?limit=${eventRows}`)).entries;
      this.requestUpdate();
    } catch (e) {
      console.warn("journal", e); // new entries still arrive by themselves
    }
  }

  private figure(i: number): TemplateResult {
    const def = client.store.defs[i];
    const name = client.store.names[i]!;
    return html`<button type="button" class="figure" @click=${() => faceplate(name)}>
      <span class="what">${local(def?.description) || name}</span>
      <span class="reading">${value(i)}</span>
      ${gauge(i)}
      <span class="code quiet">${name}</span>
    </button>`;
  }
}

customElements.define("scada-overview", Overview);
