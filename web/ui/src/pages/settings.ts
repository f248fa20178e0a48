// Settings and users: who is signed in and what that allows, this screen's language and colours, and for administrators the users.

import { html, nothing, type TemplateResult } from "lit";
import { age, clock, instant, stamp, zone } from "../core/format";
import { word } from "../core/i18n";
import { languageChoice } from "../parts/choices";
import { client, every, Part, settings, type Theme } from "../parts/context";
import { passwordSheet } from "../parts/passwordsheet";
import "../parts/people";
import "../parts/sessions";
import { roleText } from "../parts/peopleform";
import { signOut } from "../parts/signin";

/** clockDoubtMs is by how much the clock of this computer may be wrong before it is said. */
const clockDoubtMs = 2000;

export class SettingsPage extends Part {
  protected override topics = ["session", "status"] as const;

  override connectedCallback(): void {
    super.connectedCallback();
    this.until(every(1000, () => this.requestUpdate()));
  }

  protected override render(): TemplateResult {
    const t = settings.t;
    return html`<div class="page-head"><h1>${t("page.settings")}</h1></div>
      <div class="halves">${this.own()} ${this.screen()}</div>
      <scada-people class="stack"></scada-people>
      <scada-sessions class="stack"></scada-sessions>`;
  }

  private own(): TemplateResult {
    const t = settings.t;
    const s = client.session;
    const until = instant(s?.expires_at);
    return html`<section class="card" id="own" aria-label=${t("own.title")}><header><h2>${t("own.title")}</h2></header><div class="body">
      <dl class="facts">
        <dt>${t("frame.user")}</dt><dd><strong>${s?.user}</strong></dd>
        <dt>${t("own.role")}</dt><dd>${roleText(s?.role ?? "", s?.areas)}</dd>
        <dt>${t("own.rights")}</dt><dd>${(s?.permissions ?? []).map((p) => html`<span class="chip">${word(t, "permission", p)}</span> `)}</dd>
        <dt>${t("own.until")}</dt><dd>${Number.isFinite(until) ? stamp(until).slice(0, 16) : "—"}</dd>
      </dl>
      <div class="row">${s?.external ? nothing : html`<button id="change-password" type="button" class="btn" ?disabled=${client.stale} @click=${passwordSheet}>${t("own.changePassword")}</button>`}
        <button type="button" class="btn" @click=${() => void signOut()}>${t("frame.signOut")}</button></div>
    </div></section>`;
  }

  private screen(): TemplateResult {
    const t = settings.t;
    const theme = (e: Event): void => settings.setTheme((e.target as HTMLSelectElement).value as Theme);
    return html`<section class="card" id="screen" aria-label=${t("browser.title")}><header><h2>${t("browser.title")}</h2></header><div class="body">
      <dl class="facts">
        <dt>${t("frame.language")}</dt><dd>${languageChoice("language-here", "in narrow")}</dd>
        <dt>${t("browser.colours")}</dt><dd><select id="theme-here" class="in narrow" aria-label=${t("browser.colours")} @change=${theme}>
          <option value="light" ?selected=${settings.theme === "light"}>${t("browser.light")}</option><option value="dark" ?selected=${settings.theme === "dark"}>${t("browser.dark")}</option></select></dd>
        <dt>${t("browser.server")}</dt><dd>${client.link.server || "—"} <span class="code quiet">${client.link.origin}</span></dd>
        <dt>${t("browser.others")}</dt><dd class="code">${[client.home, ...client.link.others()].filter((o) => o !== client.link.origin).join(", ") || t("browser.alone")}</dd>
        <dt>${t("browser.clock")}</dt><dd id="own-clock">${this.clockText()}</dd>
        <dt>${t("browser.keys")}</dt><dd>${t("browser.keysText")}</dd>
      </dl>
    </div></section>`;
  }

  private clockText(): TemplateResult {
    const t = settings.t;
    const off = Date.now() - client.serverNow();
    if (Math.abs(off) < clockDoubtMs) return html`${clock(Date.now())} ${zone(Date.now())} <span class="quiet">${t("browser.clockOk")}</span>`;
    return html`${clock(Date.now())} ${zone(Date.now())} <span class="q-uncertain">${t(off > 0 ? "browser.clockAhead" : "browser.clockBehind", { by: age(Math.abs(off)) })}</span>`;
  }
}

customElements.define("scada-settings", SettingsPage);
