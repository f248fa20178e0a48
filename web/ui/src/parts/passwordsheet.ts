// One's own password, changed while signed in.

import { html, nothing, type TemplateResult } from "lit";
import { client, settings } from "./context";
import { changeOwn, passwordFields } from "./passwordform";
import { Sheet, show } from "./sheet";

class PasswordSheet extends Sheet {
  protected override topics = ["status", "session"] as const;
  private error = "";
  private busy = false;
  private done = false;

  protected override heading(): string {
    return settings.t("own.changePassword");
  }

  protected override body(): TemplateResult {
    const t = settings.t;
    if (this.done) return html`<div id="password-done" role="status">${t("own.changed")}</div>`;
    return html`<form id="password-form" class="stack" @submit=${this.submit}>
      <div>${t("own.changeText")}</div>
      ${passwordFields()}
      ${this.error === "" ? nothing : html`<div class="error" role="alert">${this.error}</div>`}
      <div><button id="password-change" type="submit" class="btn" ?disabled=${this.busy || client.stale}>${t("own.changePassword")}</button></div>
    </form>`;
  }

  private submit = async (e: SubmitEvent): Promise<void> => {
    e.preventDefault();
    if (this.busy || client.stale) return;
    this.busy = true;
    this.requestUpdate();
    this.error = await changeOwn(e.target as HTMLFormElement);
    this.done = this.error === "";
    this.busy = false;
    this.requestUpdate();
  };
}

customElements.define("scada-password-sheet", PasswordSheet);

/** passwordSheet opens the change of one's own password. */
export function passwordSheet(): void {
  show(new PasswordSheet());
}
