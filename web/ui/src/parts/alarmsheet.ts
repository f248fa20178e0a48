// One alarm in full, with what can be done about it.

import { html, nothing, type TemplateResult } from "lit";
import { isOverlaid, isUnacked } from "../core/alarms";
import { instant, stamp } from "../core/format";
import { word } from "../core/i18n";
import type { Alarm, AlarmResult } from "../core/types";
import { alarmText, priority } from "./bits";
import { client, settings } from "./context";
import { link } from "./routes";
import { failureText } from "./say";
import { Sheet, show } from "./sheet";

/** shelveTimes are the offered times in seconds. */
const shelveTimes = [900, 3600, 8 * 3600, 24 * 3600] as const;

/** needsReason are the commands that say nothing without words. */
const needsReason = new Set(["comment", "oos"]);

const carriedOut = new Set(["ok", "ok_solo", "unconfirmed"]);

/** refusals says what was not carried out; "" for nothing. */
export function refusals(results: readonly AlarmResult[]): string {
  const t = settings.t;
  const failed = results.filter((r) => !carriedOut.has(r.result));
  return failed.map((r) => t("alarm.refused", { id: r.id, why: r.detail || word(t, "code", r.result) })).join("; ");
}

class AlarmSheet extends Sheet {
  protected override topics = ["alarms", "status", "session"] as const;
  alarm = "";
  private error = "";
  private busy = false;

  protected override heading(): TemplateResult | string {
    const a = client.alarms.get(this.alarm);
    return a ? html`${priority(a.priority, isUnacked(a))} ${a.tag}` : this.alarm;
  }

  protected override body(): TemplateResult {
    const t = settings.t;
    const a = client.alarms.get(this.alarm);
    if (!a) return html`<div>${t("alarm.gone")}</div>`;
    const fact = (label: string, text: string | undefined): TemplateResult | typeof nothing => (text ? html`<dt>${label}</dt><dd>${text}</dd>` : nothing);
    const at = (text: string | undefined | null): string => (text ? stamp(instant(text)) : "");
    return html`<div>${alarmText(a)}</div>
      <dl class="facts">
        ${fact(t("alarm.state"), word(t, "alarmState", a.state))} ${fact(t("alarm.condition"), a.id)} ${fact(t("alarm.level"), a.level ? word(t, "level", a.level) : "")}
        ${fact(t("alarm.onset"), at(a.onset))} ${fact(t("alarm.time"), at(a.time))} ${fact(t("alarm.occurrence"), String(a.occurrence))}
        ${fact(t("alarm.ackedBy"), a.acked_by)} ${fact(t("alarm.ackedAt"), at(a.acked_at))} ${fact(t("alarm.until"), at(a.shelved_until))} ${fact(t("alarm.lastComment"), a.comment)}
      </dl>
      <div class="row"><a class="btn" href=${link("trends", { pens: a.tag })} @click=${this.dismiss}>${t("tag.trend")}</a><a class="btn" href=${link("journal", { source: a.id })} @click=${this.dismiss}>${t("alarm.history")}</a></div>
      ${client.may("alarm.operate") ? this.commands(a) : html`<div class="note">${t("alarm.notAllowed")}</div>`}
      ${this.error === "" ? nothing : html`<div class="error" role="alert">${this.error}</div>`}`;
  }

  private commands(a: Alarm): TemplateResult {
    const t = settings.t;
    const off = client.stale || this.busy;
    const button = (id: string, verb: string, label: string, primary = false): TemplateResult =>
      html`<ix-button id=${id} variant=${primary ? "primary" : "secondary"} ?disabled=${off} @click=${() => this.run(verb, {})}>${label}</ix-button>`;
    return html`<label class="field"><span>${t("alarm.comment")}</span><input class="in" id="alarm-comment" maxlength="200" /></label>
      <div class="row">
        ${isUnacked(a) ? button("alarm-ack", "ack", t("alarm.ack"), true) : nothing}
        ${a.state.startsWith("LATCH_") ? button("alarm-reset", "reset", t("alarm.reset"), a.state === "LATCH_ACK") : nothing}
        ${button("alarm-add-comment", "comment", t("alarm.addComment"))}
        ${a.state === "SHELVED" ? button("alarm-unshelve", "unshelve", t("alarm.unshelve")) : nothing}
        ${client.may("alarm.engineer") ? (a.state === "OOS" ? button("alarm-rts", "rts", t("alarm.rts")) : button("alarm-oos", "oos", t("alarm.oos"))) : nothing}
      </div>
      ${isOverlaid(a)
        ? nothing
        : html`<div class="row"><label class="field inline"><span>${t("alarm.shelveFor")}</span><select class="in narrow" id="shelve-time">${shelveTimes.map((s) => html`<option value=${s}>${word(t, "shelve", String(s))}</option>`)}</select></label>
            <ix-button id="alarm-shelve" variant="secondary" ?disabled=${off} @click=${this.shelve}>${t("alarm.shelve")}</ix-button></div>`}`;
  }

  private shelve = (): void => {
    void this.run("shelve", { for_s: Number(this.querySelector<HTMLSelectElement>("#shelve-time")?.value) });
  };

  private async run(verb: string, extra: Record<string, unknown>): Promise<void> {
    const comment = this.querySelector<HTMLInputElement>("#alarm-comment")?.value.trim() ?? "";
    if (needsReason.has(verb) && comment === "") {
      this.error = settings.t("alarm.reasonNeeded");
      this.requestUpdate();
      this.querySelector<HTMLInputElement>("#alarm-comment")?.focus();
      return;
    }
    this.busy = true;
    this.requestUpdate();
    try {
      this.error = refusals(await client.alarmCommand(verb, [this.alarm], comment === "" ? extra : { ...extra, comment }));
      if (this.error === "") this.dismiss();
    } catch (e) {
      this.error = failureText(e);
    }
    this.busy = false;
    this.requestUpdate();
  }
}

customElements.define("scada-alarm-sheet", AlarmSheet);

/** alarmSheet opens an alarm. */
export function alarmSheet(id: string): void {
  const sheet = new AlarmSheet();
  sheet.alarm = id;
  show(sheet);
}
