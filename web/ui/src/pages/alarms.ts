// Alarms: the operator's work list with acknowledge, comment and shelve.

import { html, nothing, type TemplateResult } from "lit";
import { isOverlaid, isUnacked } from "../core/alarms";
import { age, brief, instant } from "../core/format";
import { matcher } from "../core/filter";
import { word } from "../core/i18n";
import type { Alarm } from "../core/types";
import { alarmSheet, refusals } from "../parts/alarmsheet";
import { ask } from "../parts/ask";
import { alarmText, numberText, priority } from "../parts/bits";
import { client, every, Part, settings } from "../parts/context";
import { here } from "../parts/routes";
import { gap, Rows } from "../parts/rows";
import { failureText, local } from "../parts/say";

type Show = "open" | "unacked" | "overlaid" | "all";

/** mostWhole is up to how many alarms are drawn whole, each as high as its text needs. Of more only those in sight exist, a line each. */
const mostWhole = 100;
/** mostAcks is how many alarms one command may name. */
const mostAcks = 500;

export class Alarms extends Part {
  protected override topics = ["alarms", "status", "session"] as const;
  private filter = "";
  private show: Show = "open";
  private upTo = 4;
  private error = "";
  private readonly sight = new Rows();
  private found: Alarm[] = [];
  private waiting: Alarm[] = [];
  private foundFor = ""; // version and filters that found is of

  override connectedCallback(): void {
    super.connectedCallback();
    this.until(every(1000, () => this.requestUpdate()));
    const resize = new ResizeObserver(() => this.measure());
    resize.observe(this);
    this.until(() => resize.disconnect());
    const id = here().params.get("id");
    if (id !== null && client.alarms.get(id)) alarmSheet(id);
  }

  protected override render(): TemplateResult {
    const t = settings.t;
    this.select();
    const rows = this.found;
    const waiting = this.waiting;
    const many = rows.length > mostWhole;
    const { first, last } = many ? this.sight.visible(rows.length) : { first: 0, last: rows.length };
    const may = client.may("alarm.operate") && !client.stale;
    return html`<div class="page-head">
        <h1>${t("page.alarms")}</h1>
        <input class="in search" type="search" aria-label=${t("alarm.filter")} placeholder=${t("alarm.filter")} .value=${this.filter} @input=${this.typed} />
        <div class="group" role="group" aria-label=${t("alarm.show")}>
          ${(["open", "unacked", "overlaid", "all"] as const).map((s) => html`<button type="button" class="btn" aria-pressed=${this.show === s} @click=${() => this.choose(s)}>${t(`alarm.show.${s}`)}</button>`)}
        </div>
        <select class="in narrow" aria-label=${t("alarm.priorityFilter")} @change=${this.limit}>
          ${[4, 3, 2, 1].map((p) => html`<option value=${p} ?selected=${this.upTo === p}>${p === 4 ? t("alarm.allPriorities") : t("alarm.upTo", { n: p })}</option>`)}
        </select>
        <span class="space"></span>
        <ix-button id="ack-visible" ?disabled=${!may || waiting.length === 0} @click=${() => this.ackAll(waiting)}>${t("alarm.ackVisible", { n: Math.min(waiting.length, mostAcks) })}</ix-button>
      </div>
      ${this.error === "" ? nothing : html`<div class="error" role="alert">${this.error}</div>`}
      <div class="scroll" id="alarm-scroll" tabindex="0" role="region" aria-label=${t("page.alarms")} @scroll=${this.measure}>
        <table class="grid alarms ${many ? "many" : ""}" id="alarm-table" aria-rowcount=${rows.length + 1}>
          <thead><tr>
            <th>${t("alarm.prio")}</th><th>${t("alarm.state")}</th><th>${t("alarm.time")}</th><th>${t("tag.name")}</th><th>${t("alarm.message")}</th><th class="num wide-col">${t("alarm.value")}</th><th class="num wide-col">${t("alarm.duration")}</th><th><span class="sr">${t("alarm.actions")}</span></th>
          </tr></thead>
          <tbody>${many ? gap(first) : nothing}${rows.slice(first, last).map((a, n) => this.row(a, may, first + n + 2))}${many ? gap(rows.length - last) : nothing}</tbody>
        </table>
        ${rows.length === 0 ? html`<div class="empty">${t("alarm.none")}</div>` : nothing}
      </div>`;
  }

  private select(): void {
    const wanted = `${client.alarms.version} ${client.texts.version} ${settings.lang} ${this.show} ${this.upTo} ${this.filter}`;
    if (wanted === this.foundFor) return;
    this.foundFor = wanted;
    const match = matcher(this.filter);
    this.found = client.alarms.list().filter((a) => {
      if (a.priority > this.upTo && this.upTo < 4) return false;
      if (this.show === "open" && isOverlaid(a)) return false;
      if (this.show === "unacked" && !isUnacked(a)) return false;
      if (this.show === "overlaid" && !isOverlaid(a)) return false;
      return match(a.tag, a.message ?? "", local(a.message), a.level ?? "", a.id, a.area);
    });
    this.waiting = this.found.filter(isUnacked);
  }

  private measure = (): void => {
    if (this.sight.look(this.querySelector<HTMLElement>("#alarm-scroll"))) this.requestUpdate();
  };

  private toTop(): void {
    const box = this.querySelector<HTMLElement>("#alarm-scroll");
    if (box) box.scrollTop = 0;
    this.requestUpdate();
  }

  private row(a: Alarm, may: boolean, index: number): TemplateResult {
    const t = settings.t;
    const unacked = isUnacked(a);
    const at = instant(a.time ?? "");
    const onset = instant(a.onset);
    const reading = valueOf(a);
    return html`<tr class=${unacked ? "waiting" : ""} aria-rowindex=${index} data-alarm=${a.id} data-state=${a.state}>
      <td>${priority(a.priority, unacked)}</td>
      <td><span class="state s-${a.state.toLowerCase()}">${word(t, "alarmState", a.state)}</span></td>
      <td class="code">${Number.isFinite(at) ? brief(at, client.serverNow()) : "—"}</td>
      <td><button type="button" class="rowlink" @click=${() => alarmSheet(a.id)}>${a.tag}</button></td>
      <td class="message" title=${alarmText(a)}>${alarmText(a)}${a.comment ? html` <span class="quiet">“${a.comment}”</span>` : nothing}</td>
      <td class="num wide-col">${reading}</td>
      <td class="num wide-col">${a.active && Number.isFinite(onset) ? age(client.serverNow() - onset) : ""}</td>
      <td class="num">${unacked ? html`<button type="button" class="btn small ack" ?disabled=${!may} aria-label=${t("alarm.ackOne", { tag: a.tag })} @click=${() => this.ack([a.id], "")}>${t("alarm.ack")}</button>` : nothing}</td>
    </tr>`;
  }

  private ackAll(waiting: Alarm[]): void {
    const t = settings.t;
    const ids = waiting.slice(0, mostAcks).map((a) => a.id);
    if (client.stale || ids.length === 0) return;
    ask({
      title: t("alarm.ackVisibleTitle"),
      text: t("alarm.ackVisibleText", { n: ids.length }),
      confirm: t("alarm.ack"),
      reason: t("alarm.comment"),
      run: (comment) => this.send(ids, comment),
    });
  }

  private ack = async (ids: string[], comment: string): Promise<void> => {
    try {
      await this.send(ids, comment);
      this.error = "";
    } catch (e) {
      this.error = failureText(e);
    }
    this.requestUpdate();
  };

  private async send(ids: string[], comment: string): Promise<void> {
    const failed = refusals(await client.alarmCommand("ack", ids, comment === "" ? {} : { comment }));
    if (failed !== "") throw new Error(failed);
  }

  private choose(s: Show): void {
    this.show = s;
    this.toTop();
  }

  private typed = (e: Event): void => {
    this.filter = (e.target as HTMLInputElement).value;
    this.toTop();
  };

  private limit = (e: Event): void => {
    this.upTo = Number((e.target as HTMLSelectElement).value);
    this.toTop();
  };
}

// valueOf is the value the alarm was raised or last changed with, written as its tag is.
function valueOf(a: Alarm): string {
  if (a.value === undefined || a.value === null) return "";
  if (typeof a.value === "string") return a.value;
  const i = client.store.find(a.tag);
  return `${i < 0 ? String(a.value) : numberText(i, Number(a.value))} ${a.unit ?? ""}`.trim();
}

customElements.define("scada-alarms", Alarms);
