// Users and tokens, for administrators.

import { html, nothing, type TemplateResult } from "lit";
import { matcher } from "../core/filter";
import { instant, stamp } from "../core/format";
import { Failure } from "../core/http";
import type { AccessToken, User } from "../core/types";
import { ask } from "./ask";
import { client, Part, settings } from "./context";
import { changedEvent, order, roleText } from "./peopleform";
import { failureText } from "./say";
import { tokenSheet } from "./tokensheet";
import { userSheet } from "./usersheet";

export class People extends Part {
  protected override topics = ["status", "session"] as const;
  private users: User[] | undefined;
  private tokens: AccessToken[] = [];
  private error = "";
  private fixed = false; // nobody can change users here
  private said = "";
  private filter = "";
  private seen = ""; // the server and the rights the lists are for

  override connectedCallback(): void {
    super.connectedCallback();
    const again = (e: Event): void => {
      this.said = (e as CustomEvent<string>).detail;
      void this.load();
    };
    window.addEventListener(changedEvent, again);
    this.until(() => window.removeEventListener(changedEvent, again));
    this.refresh();
  }

  protected override refresh(): void {
    const now = client.stale ? "" : `${client.link.server} ${client.may("people.change")}`;
    if (now !== this.seen) {
      this.seen = now;
      if (now !== "") void this.load();
    }
    this.requestUpdate();
  }

  protected override render(): TemplateResult {
    const t = settings.t;
    if (!client.may("people.change")) return html`<section class="card" aria-label=${t("people.users")}><header><h2>${t("people.users")}</h2></header><div class="body quiet">${t("people.notAllowed")}</div></section>`;
    if (this.fixed) return html`<section class="card" aria-label=${t("people.users")}><header><h2>${t("people.users")}</h2></header><div class="body quiet">${t("people.fixed")}</div></section>`;
    return html`${this.said === "" ? nothing : html`<div id="people-said" role="status">${this.said}</div>`}
      ${this.error === "" ? nothing : html`<div class="error" role="alert">${this.error}</div>`}
      ${this.card(t("people.users"), html`<input class="in search" id="user-filter" type="search" aria-label=${t("people.filter")} placeholder=${t("people.filter")} .value=${this.filter} @input=${this.typed} /><button id="add-user" type="button" class="btn small" ?disabled=${client.stale} @click=${() => userSheet()}>${t("people.add")}</button>`, this.userTable())}
      ${this.card(t("people.tokens"), html`<button id="add-token" type="button" class="btn small" ?disabled=${client.stale} @click=${() => tokenSheet()}>${t("people.newToken")}</button>`, this.tokenTable())}`;
  }

  private card(title: string, button: TemplateResult, table: TemplateResult): TemplateResult {
    return html`<section class="card" aria-label=${title}><header><h2>${title}</h2><span class="space"></span>${button}</header>${table}</section>`;
  }

  private userTable(): TemplateResult {
    const t = settings.t;
    const match = matcher(this.filter);
    return html`<table class="grid" id="user-table">
      <thead><tr><th>${t("people.name")}</th><th>${t("own.role")}</th><th>${t("people.state")}</th><th class="wide-col">${t("people.changed")}</th></tr></thead>
      <tbody>${(this.users ?? []).filter((u) => match(u.name, roleText(u.role, u.areas))).map(
        (u) => html`<tr data-user=${u.name}><td><button type="button" class="rowlink" @click=${() => userSheet(u)}>${u.name}</button></td><td class="message">${roleText(u.role, u.areas)}</td>
          <td class=${u.locked ? "q-bad" : u.must_change ? "q-uncertain" : "quiet"}>${t(u.locked ? "people.locked" : u.must_change ? "people.due" : "people.ok")}${u.declared ? html` <span class="chip">${t("people.declared")}</span>` : nothing}</td>
          <td class="wide-col quiet">${this.when(u.changed_at, u.changed_by)}</td></tr>`,
      )}</tbody></table>`;
  }

  private tokenTable(): TemplateResult {
    const t = settings.t;
    if (this.tokens.length === 0) return html`<div class="body quiet">${t("people.noTokens")}</div>`;
    return html`<table class="grid" id="token-table">
      <thead><tr><th>${t("people.name")}</th><th>${t("own.role")}</th><th>${t("people.expires")}</th><th class="wide-col">${t("people.changed")}</th><th><span class="sr">${t("alarm.actions")}</span></th></tr></thead>
      <tbody>${this.tokens.map(
        (k) => html`<tr data-token=${k.name}><td>${k.name}</td><td class="message">${roleText(k.role, k.areas)}</td><td>${this.life(k)}</td><td class="wide-col quiet">${this.when(k.changed_at, k.changed_by)}</td>
          <td class="num">${k.declared ? html`<span class="chip">${t("people.declared")}</span>` : html`<button type="button" class="btn small" aria-label=${t("people.revokeOne", { name: k.name })} ?disabled=${client.stale} @click=${() => revoke(k.name)}>${t("people.revoke")}</button>`}</td></tr>`,
      )}</tbody></table>`;
  }

  private typed = (e: Event): void => {
    this.filter = (e.target as HTMLInputElement).value;
    this.requestUpdate();
  };

  private when(at: string | undefined, user: string | undefined): string {
    const ms = instant(at);
    if (!Number.isFinite(ms)) return "—";
    return user ? settings.t("people.by", { at: stamp(ms).slice(0, 16), user }) : stamp(ms).slice(0, 16);
  }

  private life(k: AccessToken): TemplateResult | string {
    const end = instant(k.expires_at);
    if (!Number.isFinite(end)) return settings.t("people.never");
    const at = stamp(end).slice(0, 16);
    return end <= client.serverNow() ? html`<span class="q-bad">${settings.t("people.expired", { at })}</span>` : at;
  }

  private async load(): Promise<void> {
    if (!client.may("people.change")) return;
    try {
      const [users, tokens] = await Promise.all([client.call<{ users: User[] }>("GET", "/users"), client.call<{ tokens: AccessToken[] }>("GET", "/tokens")]);
      this.users = users.users;
      this.tokens = tokens.tokens;
      this.error = "";
      this.fixed = false;
    } catch (e) {
      this.fixed = e instanceof Failure && e.status === 404;
      this.error = this.fixed ? "" : failureText(e);
    }
    this.requestUpdate();
  }
}

function revoke(name: string): void {
  const t = settings.t;
  ask({ title: t("people.revoke"), text: t("people.revokeText", { name }), confirm: t("people.revoke"), run: () => order("DELETE", `/tokens/${encodeURIComponent(name)}`) });
}

customElements.define("scada-people", People);
