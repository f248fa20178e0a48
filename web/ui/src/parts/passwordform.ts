// The three fields of a change of one's own password, and what it says when it is refused.

import { html, type TemplateResult } from "lit";
import { Failure } from "../core/http";
import { client, settings } from "./context";
import { failureText } from "./say";

/** passwordFields asks for the present password and twice for the new one. */
export function passwordFields(): TemplateResult {
  const t = settings.t;
  return html`<input class="hidden" type="text" name="user" autocomplete="username" .value=${client.session?.user ?? ""} readonly />
    <label class="field"><span>${t("own.old")}</span><input class="in" name="old" type="password" autocomplete="current-password" maxlength="256" required /></label>
    <label class="field"><span>${t("own.new")}</span><input class="in" name="new" type="password" autocomplete="new-password" minlength="8" maxlength="256" required /></label>
    <label class="field"><span>${t("own.again")}</span><input class="in" name="again" type="password" autocomplete="new-password" maxlength="256" required /></label>`;
}

/** changeOwn carries the change out and returns why it was not; "" when it was. */
export async function changeOwn(form: HTMLFormElement): Promise<string> {
  const data = new FormData(form);
  if (data.get("new") !== data.get("again")) return settings.t("own.differ");
  try {
    await client.changePassword(String(data.get("old")), String(data.get("new")));
    return "";
  } catch (e) {
    return e instanceof Failure && e.status === 401 ? settings.t("own.wrong") : failureText(e);
  }
}
