// A new token: who it is for, what it may, how long; then the token itself, once.

import { html, nothing, type TemplateResult } from "lit";
import { word } from "../core/i18n";
import type { AccessToken } from "../core/types";
import { client, settings } from "./context";
import { access, changed, roleFields } from "./peopleform";
import { failureText } from "./say";
import { Sheet, show } from "./sheet";

/** lives are the offered times in seconds; 0 is for ever. */
const lives = [30 * 86400, 365 * 86400, 0] as const;

class TokenSheet extends Sheet {
  protected override topics = ["status", "session"] as const;
  private error = "";
  private busy = false;
  private token = "";

  protected override heading(): string {
    return settings.t("people.newToken");
  }

  protected override body(): TemplateResult {
    const t = settings.t;
    if (this.token !== "") {
      return html`<label class="field"><span>${t("people.tokenShown")}</span><input class="in code" id="token-text" readonly .value=${this.token} @focus=${(e: Event) => (e.target as HTMLInputElement).select()} /></label>`;
    }
    return html`<form class="stack" id="token-form" @submit=${this.create}>
        <label class="field"><span>${t("people.name")}</span><input class="in" name="name" maxlength="64" autocomplete="off" required /></label>
        ${roleFields("viewer", undefined)}
        <label class="field"><span>${t("people.tokenFor")}</span><select class="in" name="for">${lives.map((s) => html`<option value=${s}>${word(t, "tokenLife", String(s))}</option>`)}</select></label>
        <div><button id="token-create" type="submit" class="btn" ?disabled=${this.busy || client.stale}>${t("people.newToken")}</button></div>
      </form>
      ${this.error === "" ? nothing : html`<div class="error" role="alert">${this.error}</div>`}`;
  }

  private create = async (e: SubmitEvent): Promise<void> => {
    e.preventDefault();
    if (this.busy || client.stale) return;
    const form = e.target as HTMLFormElement;
    const data = new FormData(form);
    this.busy = true;
    this.requestUpdate();
    try {
      const made = await client.call<AccessToken>("POST", "/tokens", { name: String(data.get("name")).trim(), for_s: Number(data.get("for")), ...access(form) });
      this.token = made.token ?? "";
      this.error = "";
      changed("");
    } catch (err) {
      this.error = failureText(err);
    }
    this.busy = false;
    this.requestUpdate();
    void this.updateComplete.then(() => this.querySelector<HTMLElement>("#token-text")?.focus());
  };
}

customElements.define("scada-token-sheet", TokenSheet);

/** tokenSheet opens a new token. */
export function tokenSheet(): void {
  show(new TokenSheet());
}
