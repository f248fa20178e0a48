// Small drawn things used everywhere.

import { html, nothing, svg, type TemplateResult } from "lit";
import { age, decimals, fixed } from "../core/format";
import { word } from "../core/i18n";
import type { Alarm } from "../core/types";
import { client, settings } from "./context";
import { local } from "./say";

const shapes = [
  svg``,
  svg`<rect class="s" x="2" y="2" width="16" height="16"></rect>`,
  svg`<path class="s" d="M10 1.5 19 18H1Z"></path>`,
  svg`<circle class="s" cx="10" cy="10" r="8.5"></circle>`,
  svg`<rect class="s" x="2" y="4" width="16" height="12" rx="6"></rect>`,
];

/** priority draws the mark of an alarm's priority by colour, shape and number: filled while it waits for the operator, an outline after. */
export function priority(level: number, waiting: boolean): TemplateResult {
  const p = Math.min(4, Math.max(1, level));
  const label = settings.t("alarm.priority", { n: p });
  return html`<svg class="prio p${p} ${waiting ? "blink" : "calm"}" viewBox="0 0 20 20" role="img" aria-label=${label}>
    ${shapes[p]}<text x="10" y=${p === 2 ? 16 : 14}>${p}</text>
  </svg>`;
}

/** valueText is the value of a tag as text, without its unit. */
export function valueText(i: number): string {
  const store = client.store;
  const def = store.defs[i];
  const text = store.textOf(i);
  if (text !== undefined && (def === undefined || def.type === "string" || Number.isNaN(store.values[i]))) return text;
  return numberText(i, store.values[i] ?? NaN);
}

/** numberText writes a number as the tag shows it: by its states, its type and its range. */
export function numberText(i: number, value: number): string {
  const def = client.store.defs[i];
  if (Number.isNaN(value)) return "—";
  const state = def?.states?.[value];
  if (state !== undefined) return stateText(state);
  if (def?.type === "bool") return settings.t(value !== 0 ? "value.on" : "value.off");
  if (def !== undefined && /^u?int/.test(def.type)) return fixed(value, 0);
  if (def?.low === undefined && value !== 0 && Math.abs(value) < 0.1) return String(Number(value.toPrecision(3))); // two digits would show nothing of it
  return fixed(value, decimals(def?.low, def?.high));
}

/** doubt is why a value must not be taken for a fresh good one: "" for none. */
export function doubt(i: number): "" | "uncertain" | "bad" {
  const g = client.store.grade(i);
  if (g === "bad") return "bad";
  return g === "uncertain" || client.stale ? "uncertain" : "";
}

/** ageMs is how old the value of a tag is. */
export function ageMs(i: number): number {
  return client.serverNow() - (client.store.times[i] ?? NaN);
}

/** value draws a tag's value with its unit; in doubt hatched, with a question mark and its age. */
export function value(i: number, withAge = true): TemplateResult {
  if (i < 0) return html`<span class="val doubt bad">—</span>`;
  const d = doubt(i);
  const unit = client.store.unit(i);
  return html`<span class="val ${d === "" ? "" : `doubt ${d}`}">${valueText(i)}</span>${unit === "" ? nothing : html` <span class="unit">${unit}</span>`}${d !== "" && withAge
    ? html` <span class="agetext old">${age(ageMs(i))}</span>`
    : nothing}`;
}

/** gauge draws where a value lies in the tag's range. */
export function gauge(i: number): TemplateResult | typeof nothing {
  const def = client.store.defs[i];
  const v = client.store.values[i] ?? NaN;
  if (def?.low === undefined || def.high === undefined || !(def.high > def.low) || Number.isNaN(v)) return nothing;
  const share = (v - def.low) / (def.high - def.low);
  const out = share < 0 || share > 1;
  const width = 100 * Math.min(1, Math.max(0, share));
  return html`<svg class="gauge ${out ? "out" : ""}" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
    <rect class="track" width="100" height="10"></rect><rect class="mark" width=${width} height="10"></rect>
  </svg>`;
}

/** limits are the levels that say which limit was passed; the others say no more than that the alarm is active. */
const limits = new Set(["HiHi", "Hi", "Lo", "LoLo", "RocHi", "RocLo"]);

// stateText is the name of a state: a common word, or one of the plant's own.
function stateText(state: string): string {
  const text = word(settings.t, "state", state);
  return text === state ? local(state) : text;
}

/** alarmText is what an alarm says: its message and the limit passed. */
export function alarmText(a: Alarm): string {
  const level = a.level !== undefined && limits.has(a.level) ? word(settings.t, "level", a.level) : "";
  return [local(a.message) || (level === "" ? a.type : ""), level].filter((s) => s !== "").join(" · ");
}

/** download hands a text to the user as a file. */
export function download(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob(["\ufeff" + text], { type }));
  const a = document.createElement("a");
  a.href = url;
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
