// Who is signed in, on both nodes, for administrators, who may end a session.

import { html, nothing, type TemplateResult } from "lit";
import { age, instant, stamp } from "../core/format";
import { word } from "../core/i18n";
import type { SessionInfo } from "../core/types";
import { ask } from "./ask";
import { client, every, Part, settings } from "./context";
import { failureText } from "./say";

/** againMs is how often the list is read anew while the page is open. */
const againMs = 10_000;

export class Sessions extends Part {
  protected override topics = ["status", "session"] as const;
  private list: SessionInfo[] = [];
  private error = "";
  private seen = ""; // the server and the rights the list is for

  override connectedCallback(): void {
    super.connectedCallback();
    this.until(every(againMs, () => void this.load()));
    this.refresh();
  }

  protected override refresh(): void {
    const now = client.stale ? "" : `${client.link.server} ${client.may("people.change")}`;
    if (now !== this.seen) {
      this.seen = now;
      void this.load();
    }
    this.requestUpdate();
  }

  protected override render(): TemplateResult | typeof nothing {
    const t = settings.t;
    if (!client.may("people.change")) return nothing;
    return html`<section class="card" aria-label=${t("sessions.title")}><header><h2>${t("sessions.title")}</h2><span class="space"></span><span class="quiet">${this.list.length}</span></header>
      ${this.error === "" ? nothing : html`<div class="body error" role="alert">${this.error}</div>`}
      <table class="grid" id="session-table">
        <thead><tr><th>${t("login.user")}</th><th>${t("own.role")}</th><th>${t("sessions.node")}</th><th>${t("sessions.from")}</th><th class="wide-col">${t("sessions.since")}</th><th>${t("sessions.seen")}</th><th><span class="sr">${t("alarm.actions")}</span></th></tr></thead>
        <tbody>${this.list.map((s) => this.row(s))}</tbody></table></section>`;
  }

  private row(s: SessionInfo): TemplateResult {
    const t = settings.t;
    return html`<tr data-session=${s.id} data-user=${s.user}><td class="message">${s.user}${s.own ? html` <span class="chip">${t("sessions.own")}</span>` : nothing}</td><td>${word(t, "userRole", s.role)}</td><td>${s.node}</td><td class="code">${s.address}</td>
      <td class="code wide-col">${stamp(instant(s.created_at)).slice(0, 16)}</td><td>${age(Math.max(0, client.serverNow() - instant(s.seen_at)))}</td>
      <td class="num">${s.own ? nothing : html`<button type="button" class="btn small end" aria-label=${t("sessions.endOne", { name: s.user, node: s.node })} ?disabled=${client.stale} @click=${() => this.end(s)}>${t("sessions.end")}</button>`}</td></tr>`;
  }

  private end(s: SessionInfo): void {
    const t = settings.t;
    ask({
      title: t("sessions.end"),
      text: t("sessions.endText", { name: s.user, node: s.node }),
      confirm: t("sessions.end"),
      run: async () => {
        await client.call("DELETE", `/sessions/${encodeURIComponent(s.id)}`);
        await this.load();
      },
    });
  }

  private async load(): Promise<void> {
    if (client.stale || !client.may("people.change")) return;
    try {
      this.list = (await client.call<{ sessions: SessionInfo[] }>("GET", "/sessions")).sessions;
      this.error = "";
    } catch (e) {
      this.error = failureText(e);
    }
    this.requestUpdate();
  }
}

customElements.define("scada-sessions", Sessions);
