// One user: role, password, lock, removal; or a new one.

import { html, nothing, type TemplateResult } from "lit";
import type { User } from "../core/types";
import { ask } from "./ask";
import { client, settings } from "./context";
import { access, order, roleFields } from "./peopleform";
import { failureText } from "./say";
import { Sheet, show } from "./sheet";

class UserSheet extends Sheet {
  protected override topics = ["status", "session"] as const;
  user: User | undefined; // none: a new one
  private error = "";
  private busy = false;

  protected override heading(): string {
    return this.user?.name ?? settings.t("people.add");
  }

  protected override body(): TemplateResult {
    return html`${this.user ? this.present(this.user) : this.fresh()}${this.error === "" ? nothing : html`<div class="error" role="alert">${this.error}</div>`}`;
  }

  private fresh(): TemplateResult {
    const t = settings.t;
    return html`<form class="stack" id="user-add" @submit=${this.add}>
      <div>${t("people.addText")}</div>
      <label class="field"><span>${t("login.user")}</span><input class="in" name="name" maxlength="64" autocomplete="off" required /></label>
      ${roleFields("operator", undefined)}
      <label class="field"><span>${t("people.firstPassword")}</span><input class="in" name="password" type="password" autocomplete="new-password" minlength="8" maxlength="256" required /></label>
      <div>${this.button("user-add-button", t("people.add"))}</div>
    </form>`;
  }

  private present(u: User): TemplateResult {
    const t = settings.t;
    const lock = u.locked ? "unlock" : "lock";
    return html`${u.declared
        ? html`<div class="note">${t("people.declaredText")}</div>`
        : html`<form class="stack" @submit=${this.setRole}>${roleFields(u.role, u.areas)}<div>${this.button("user-role", t("people.setRole"))}</div></form>
          <form class="stack write" @submit=${this.setPassword}>
            <label class="field"><span>${t("people.newPassword")}</span><input class="in" name="password" type="password" autocomplete="new-password" minlength="8" maxlength="256" required /></label>
            <div>${this.button("user-password", t("people.setPassword"))}</div></form>`}
      <div class="row write-row">
        <button type="button" id="user-lock" class="btn" ?disabled=${this.off} @click=${() => this.run("POST", `/${lock}`)}>${t(u.locked ? "people.unlock" : "people.lock")}</button>
        ${u.declared ? nothing : html`<button type="button" id="user-remove" class="btn" ?disabled=${this.off} @click=${this.remove_}>${t("people.remove")}</button>`}
      </div>
      <div class="note">${t("people.ended")}</div>`;
  }

  private get off(): boolean {
    return this.busy || client.stale;
  }

  private button(id: string, label: string): TemplateResult {
    return html`<button id=${id} type="submit" class="btn" ?disabled=${this.off}>${label}</button>`;
  }

  private add = (e: SubmitEvent): void => {
    e.preventDefault();
    const form = e.target as HTMLFormElement;
    const data = new FormData(form);
    void this.run("POST", "", { name: String(data.get("name")).trim(), password: String(data.get("password")), ...access(form) });
  };

  private setRole = (e: SubmitEvent): void => {
    e.preventDefault();
    void this.run("POST", "/role", access(e.target as HTMLFormElement));
  };

  private setPassword = (e: SubmitEvent): void => {
    e.preventDefault();
    void this.run("POST", "/password", { password: String(new FormData(e.target as HTMLFormElement).get("password")) });
  };

  private remove_ = (): void => {
    const t = settings.t;
    const name = this.user!.name;
    this.dismiss();
    ask({ title: t("people.remove"), text: t("people.removeText", { name }), confirm: t("people.remove"), run: () => order("DELETE", path(name)) });
  };

  private async run(method: string, verb: string, body?: unknown): Promise<void> {
    if (this.off) return;
    this.busy = true;
    this.requestUpdate();
    try {
      await order(method, this.user ? path(this.user.name) + verb : "/users", body);
      this.dismiss();
    } catch (e) {
      this.error = failureText(e);
    }
    this.busy = false;
    this.requestUpdate();
  }
}

function path(name: string): string {
  return `/users/${encodeURIComponent(name)}`;
}

customElements.define("scada-user-sheet", UserSheet);

/** userSheet opens a user, or a new one. */
export function userSheet(user?: User): void {
  const sheet = new UserSheet();
  sheet.user = user;
  show(sheet);
}
