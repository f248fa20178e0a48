// What the sheets of users and tokens share: roles to choose, and a change told to the page behind.

import { html, type TemplateResult } from "lit";
import { word } from "../core/i18n";
import type { PeopleResult } from "../core/types";
import { client, settings } from "./context";
import { areaNames } from "./pair";

const roles = ["viewer", "operator", "engineer", "admin"] as const;

/** changedEvent is sent when users or tokens have changed; its detail is a sentence. */
export const changedEvent = "scada-people";

/** roleText is a role with those in areas. */
export function roleText(role: string, areas: Record<string, string> | undefined): string {
  const t = settings.t;
  return [word(t, "userRole", role), ...Object.entries(areas ?? {}).map(([area, r]) => t("own.inArea", { area, role: word(t, "userRole", r) }))].join(" · ");
}

/** roleFields asks for the role in the whole plant and, where there are several areas, for others in some of them. */
export function roleFields(role: string, areas: Record<string, string> | undefined): TemplateResult {
  const t = settings.t;
  const option = (r: string, chosen: string): TemplateResult => html`<option value=${r} ?selected=${r === chosen}>${word(t, "userRole", r)}</option>`;
  const names = client.pair ? areaNames(client.pair) : [];
  return html`<label class="field"><span>${t("people.wholePlant")}</span><select class="in" name="role">${roles.map((r) => option(r, role))}</select></label>
    ${names.length < 2 ? [] : names.map((area) => html`<label class="field"><span>${t("people.inArea", { area })}</span>
      <select class="in" name="area" data-area=${area}><option value="">${t("people.asPlant")}</option>${roles.map((r) => option(r, areas?.[area] ?? ""))}</select></label>`)}`;
}

/** access reads what was chosen. */
export function access(form: HTMLFormElement): { role: string; areas: Record<string, string> } {
  const areas: Record<string, string> = {};
  for (const s of form.querySelectorAll<HTMLSelectElement>("select[name=area]")) if (s.value !== "") areas[s.dataset["area"] ?? ""] = s.value;
  return { role: String(new FormData(form).get("role")), areas };
}

/** order changes users or tokens and tells the page. */
export async function order(method: string, path: string, body?: unknown): Promise<void> {
  const r = await client.call<PeopleResult>(method, path, body);
  changed(settings.t(r.mirrored ? "people.mirrored" : "people.notMirrored", { name: r.name }));
}

/** changed tells the page that users or tokens have changed. */
export function changed(sentence: string): void {
  window.dispatchEvent(new CustomEvent(changedEvent, { detail: sentence }));
}
