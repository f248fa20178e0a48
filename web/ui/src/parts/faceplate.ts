// The faceplate of a tag: what it is, how it stands, and for a writable one a value to write, with a second look before it goes out
// and the value read back after.

import { html, nothing, type TemplateResult } from "lit";
import { age, stamp } from "../core/format";
import { word } from "../core/i18n";
import type { Tag } from "../core/types";
import type { WriteOutcome } from "../core/writes";
import { ageMs, gauge, numberText, value, valueText } from "./bits";
import { client, every, settings } from "./context";
import { link } from "./routes";
import { local, say } from "./say";
import { Sheet, show } from "./sheet";

type Step = { is: "edit" } | { is: "confirm"; value: number | boolean | string } | { is: "running" } | { is: "over"; outcome: WriteOutcome };

class Faceplate extends Sheet {
  protected override topics = ["values", "tags", "status", "session"] as const;
  name = "";
  private step: Step = { is: "edit" };
  private error = "";
  private reason = "";

  override connectedCallback(): void {
    super.connectedCallback();
    this.until(every(500, () => this.requestUpdate()));
  }

  protected override heading(): string {
    return this.name;
  }

  protected override body(): TemplateResult {
    const t = settings.t;
    const i = client.store.find(this.name);
    const def = client.store.defs[i];
    const q = i < 0 ? "Bad_NoData" : client.store.quality(i);
    return html`${def?.description ? html`<div class="quiet">${local(def.description)}</div>` : nothing}
      <div class="big" aria-live="off">${value(i, false)}</div>
      ${gauge(i)}
      <dl class="facts">
        <dt>${t("tag.quality")}</dt><dd class="q-${client.stale ? "uncertain" : client.store.grade(i)}">${client.stale ? t("quality.unknown") : word(t, "quality", q)} <span class="code quiet">${word(t, "quality", q) === q ? nothing : q}</span></dd>
        <dt>${t("tag.time")}</dt><dd>${stamp(client.store.times[i] ?? NaN)} <span class="quiet">(${age(ageMs(i))})</span></dd>
        ${def ? this.facts(def) : nothing}
      </dl>
      <div><a class="btn" href=${link("trends", { pens: this.name })} @click=${this.dismiss}>${t("tag.trend")}</a></div>
      ${def?.writable ? this.writing(def, i) : html`<div class="note">${t("write.readOnly")}</div>`}`;
  }

  private facts(def: Tag): TemplateResult {
    const t = settings.t;
    const range = def.low !== undefined && def.high !== undefined ? `${def.low} … ${def.high} ${def.unit ?? ""}` : "—";
    return html`<dt>${t("tag.range")}</dt><dd>${range}</dd>
      <dt>${t("tag.device")}</dt><dd>${def.device} <span class="code quiet">${def.address}</span></dd>
      <dt>${t("tag.type")}</dt><dd>${def.type}</dd>
      <dt>${t("tag.scan")}</dt><dd>${def.scan_ms} ms</dd>
      <dt>${t("tag.area")}</dt><dd>${def.area}</dd>`;
  }

  private writing(def: Tag, i: number): TemplateResult {
    const t = settings.t;
    if (!client.may("tag.write")) return html`<div class="note">${t("write.notAllowed")}</div>`;
    switch (this.step.is) {
      case "edit":
        return html`<form class="write" @submit=${this.review}>
          <label class="field"><span>${t("write.newValue")}</span>${input(def, i)}</label>
          <label class="field"><span>${t("write.reason")}</span><input class="in" name="reason" maxlength="200" .value=${this.reason} /></label>
          ${this.error === "" ? nothing : html`<div class="error" role="alert">${this.error}</div>`}
          <div><button id="write-review" type="submit" class="btn" ?disabled=${client.stale}>${t("write.review")}</button></div>
        </form>`;
      case "confirm":
        return html`<div class="write confirm" role="group" aria-label=${t("write.confirmTitle")}>
          <strong>${t("write.confirmText", { tag: def.name, old: `${valueText(i)} ${def.unit ?? ""}`.trim(), new: `${exactly(i, this.step.value)} ${def.unit ?? ""}`.trim() })}</strong>
          <div class="row">
            <ix-button id="write-confirm" ?disabled=${client.stale} @click=${this.send}>${t("write.confirm")}</ix-button>
            <ix-button variant="secondary" @click=${this.edit}>${t("action.cancel")}</ix-button>
          </div>
        </div>`;
      case "running":
        return html`<div class="write" role="status">${t("write.running")}</div>`;
      case "over":
        return html`<div class="write"><div id="write-result" class=${verdict(this.step.outcome)} role="status">${outcomeText(i, this.step.outcome)}</div>
          <div><button type="button" class="btn" @click=${this.edit}>${t("write.again")}</button></div></div>`;
    }
  }

  private review = (e: SubmitEvent): void => {
    e.preventDefault();
    const def = client.store.defs[client.store.find(this.name)];
    if (!def) return;
    const data = new FormData(e.target as HTMLFormElement);
    this.reason = String(data.get("reason") ?? "").trim();
    const parsed = parse(def, String(data.get("value") ?? ""));
    if (parsed === undefined) {
      this.error = settings.t(def.low !== undefined ? "write.outOfRange" : "write.notANumber", { low: def.low ?? "", high: def.high ?? "" });
    } else {
      this.error = "";
      this.step = { is: "confirm", value: parsed };
    }
    this.requestUpdate();
    if (parsed !== undefined) void this.updateComplete.then(() => this.querySelector<HTMLElement>("#write-confirm")?.focus());
  };

  private edit = (): void => {
    this.step = { is: "edit" };
    this.requestUpdate();
  };

  private send = async (): Promise<void> => {
    if (this.step.is !== "confirm" || client.stale) return;
    const wantedValue = this.step.value;
    this.step = { is: "running" };
    this.requestUpdate();
    const outcome = await client.write(this.name, wantedValue, this.reason);
    this.step = { is: "over", outcome };
    this.requestUpdate();
  };
}

customElements.define("scada-faceplate", Faceplate);

/** faceplate opens the faceplate of a tag. */
export function faceplate(name: string): void {
  const sheet = new Faceplate();
  sheet.name = name;
  show(sheet);
}

function input(def: Tag, i: number): TemplateResult {
  if (def.type === "bool" || (def.states && def.states.length > 0)) {
    const states = def.states?.length ? def.states : ["off", "on"];
    const now = client.store.values[i];
    return html`<select class="in" name="value">${states.map((_, n) => html`<option value=${n} ?selected=${n === now}>${numberText(i, n)}</option>`)}</select>`;
  }
  if (def.type === "string") return html`<input class="in" name="value" maxlength="256" />`;
  return html`<input class="in" name="value" inputmode="decimal" required autocomplete="off" />`;
}

function parse(def: Tag, text: string): number | boolean | string | undefined {
  if (def.type === "string") return text;
  if (def.type === "bool") return text === "1";
  const n = Number(text.trim().replace(",", "."));
  if (text.trim() === "" || !Number.isFinite(n)) return undefined;
  if (/^u?int/.test(def.type) && !Number.isInteger(n)) return undefined;
  if (def.low !== undefined && def.high !== undefined && (n < def.low || n > def.high)) return undefined;
  return n;
}

function wanted(i: number, v: number | boolean | string): string {
  return typeof v === "string" ? v : numberText(i, Number(v));
}

// exactly is what will be written: a number with more digits than the tag shows is not shortened.
function exactly(i: number, v: number | boolean | string): string {
  const text = wanted(i, v);
  return typeof v === "number" && Number.isFinite(Number(text)) && Number(text) !== v ? String(v) : text;
}

function verdict(o: WriteOutcome): string {
  return o.kind === "done" && o.result.result === "confirmed" ? "ok" : "error";
}

function outcomeText(i: number, o: WriteOutcome): string {
  const t = settings.t;
  if (o.kind === "unknown") return t("write.unknown");
  if (o.kind === "refused") return t("write.refused", { why: word(t, "code", o.code), detail: say(o.detail) });
  const r = o.result;
  const back = r.read_back === null ? "—" : wanted(i, r.read_back);
  switch (r.result) {
    case "confirmed":
      return t("write.confirmed", { value: back, node: r.node });
    case "unconfirmed":
      return t("write.unconfirmed", { value: back, node: r.node });
    default:
      return t("write.unknown");
  }
}
