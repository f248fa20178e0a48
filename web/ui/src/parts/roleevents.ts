// The latest entries of the journal about roles: switches and their steps, paths, merges of what the nodes recorded apart.

import { html, nothing, type TemplateResult } from "lit";
import { brief, instant } from "../core/format";
import { word } from "../core/i18n";
import type { JournalEntry } from "../core/types";
import { client, Part, settings } from "./context";
import { link } from "./routes";
import { actor, say } from "./say";

const rows = 40;

export class RoleEvents extends Part {
  protected override topics = ["journal", "status"] as const;
  private read: JournalEntry[] = [];
  private loaded = "";

  protected override refresh(): void {
    const from = client.link.live ? client.link.server : "";
    if (from !== "" && from !== this.loaded) {
      this.loaded = from;
      void this.load();
    }
    this.requestUpdate();
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.refresh();
  }

  protected override render(): TemplateResult {
    const t = settings.t;
    const byId = new Map([...this.read, ...client.journal.filter((e) => e.kind === "role")].map((e) => [e.id, e]));
    const list = [...byId.values()].sort((a, b) => instant(b.time) - instant(a.time)).slice(0, rows);
    const merges = list.filter((e) => e.event === "merge");
    return html`<section class="card events" id="role-events">
      <header><h2>${t("role.events")}</h2>${merges.length > 0 ? html`<span class="quiet">${t("role.merges", { n: merges.length })}</span>` : nothing}<span class="space"></span><a href=${link("journal", { kind: "role" })}>${t("page.journal")}</a></header>
      <div class="scroll" tabindex="0" role="region" aria-label=${t("role.events")}><table class="grid"><tbody>${list.map((e) => this.row(e))}</tbody></table>
        ${list.length === 0 ? html`<div class="empty">${t("journal.none")}</div>` : nothing}
      </div>
    </section>`;
  }

  private row(e: JournalEntry): TemplateResult {
    const marked = e.event === "merge" || e.event === "two-active";
    return html`<tr data-event=${e.event}><td class="code">${brief(instant(e.time), client.serverNow())}</td><td>${e.node}</td><td class=${marked ? "q-uncertain" : ""}>${word(settings.t, "event", e.event)}</td><td>${e.area}</td><td class="message">${say(e.message)}</td><td>${actor(e)}</td></tr>`;
  }

  private async load(): Promise<void> {
    try {
      this.read = (await client.call<{ entries: JournalEntry[] }>("GET", `/journal?kind=role&limit=${rows}`)).entries;
      this.requestUpdate();
    } catch (e) {
      this.loaded = ""; // the next sign of life of a server asks again
      console.warn("journal", e);
    }
  }
}

customElements.define("scada-role-events", RoleEvents);
