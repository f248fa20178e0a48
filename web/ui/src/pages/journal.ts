// Journal: what happened, newest first: alarm transitions, operators' actions, role changes. New entries arrive by themselves.

import { html, nothing, type TemplateResult } from "lit";
import { csv } from "../core/csv";
import { instant, rounded, stamp } from "../core/format";
import { word } from "../core/i18n";
import type { JournalEntry } from "../core/types";
import { download, numberText } from "../parts/bits";
import { client, Part, settings } from "../parts/context";
import { here, link } from "../parts/routes";
import { actor, failureText, say } from "../parts/say";

const kinds = ["", "alarm", "write", "session", "role", "config", "system", "station"] as const;
const pageRows = 200;
/** mostRows is how many entries the page holds; older ones come with "older". */
const mostRows = 5000;

export class Journal extends Part {
  protected override topics = ["journal", "status"] as const;
  private kind = here().params.get("kind") ?? "";
  private text = "";
  private source = here().params.get("source") ?? "";
  private entries: JournalEntry[] = [];
  private readonly known = new Set<string>();
  private next = "";
  private error = "";
  private loading = false;
  private asked = 0;
  private wasStale = true;
  private timer = 0;

  override connectedCallback(): void {
    super.connectedCallback();
    void this.load(false);
  }

  protected override refresh(): void {
    if (this.wasStale && !client.stale) void this.load(false); // another server, or time was missed
    this.wasStale = client.stale;
    for (const e of client.journal) if (this.passes(e) && !this.known.has(e.id)) this.put(e);
    this.requestUpdate();
  }

  protected override render(): TemplateResult {
    const t = settings.t;
    return html`<div class="page-head">
        <h1>${t("page.journal")}</h1>
        <input class="in search" type="search" aria-label=${t("journal.filter")} placeholder=${t("journal.filter")} .value=${this.text} @input=${this.typed} />
        <select class="in narrow" aria-label=${t("journal.kind")} @change=${this.chosen}>
          ${kinds.map((k) => html`<option value=${k} ?selected=${this.kind === k}>${k === "" ? t("journal.allKinds") : word(t, "kind", k)}</option>`)}
        </select>
        ${this.source === "" ? nothing : html`<span class="chip">${this.source}<button type="button" aria-label=${t("journal.clearSource")} @click=${this.clearSource}>×</button></span>`}
        <span class="space"></span>
        <button type="button" class="btn" @click=${this.save}>CSV</button>
      </div>
      ${this.error === "" ? nothing : html`<div class="error" role="alert">${this.error}</div>`}
      <div class="scroll" tabindex="0" role="region" aria-label=${t("page.journal")}>
        <table class="grid" id="journal-table">
          <thead><tr><th>${t("journal.time")}</th><th class="wide-col">${t("journal.kind")}</th><th>${t("journal.event")}</th><th>${t("journal.source")}</th><th>${t("journal.message")}</th><th>${t("journal.change")}</th><th>${t("journal.user")}</th><th class="wide-col">${t("journal.node")}</th><th class="num wide-col">${t("role.epoch")}</th></tr></thead>
          <tbody>${this.entries.map((e) => this.row(e))}</tbody>
        </table>
        ${this.entries.length === 0 && !this.loading && this.error === "" ? html`<div class="empty">${t("journal.none")}</div>` : nothing}
        ${this.next === "" ? nothing : html`<div class="empty"><button type="button" class="btn" ?disabled=${this.loading || client.stale} @click=${() => this.load(true)}>${t("journal.older")}</button></div>`}
      </div>`;
  }

  private row(e: JournalEntry): TemplateResult {
    const t = settings.t;
    const change = changeText(e);
    return html`<tr>
      <td class="code">${stamp(instant(e.time))}</td><td class="wide-col">${word(t, "kind", e.kind)}</td><td>${word(t, "event", e.event)}</td><td class="cut source" title=${e.source ?? ""}>${e.source}</td>
      <td class="message">${say(e.message)}${e.result ? html` <span class="quiet">${e.result}</span>` : nothing}</td><td>${change}</td><td>${actor(e)}</td><td class="wide-col">${e.node}</td><td class="num wide-col">${e.epoch || ""}</td>
    </tr>`;
  }

  private passes(e: JournalEntry): boolean {
    if (this.kind !== "" && e.kind !== this.kind) return false;
    if (this.source !== "" && e.source !== this.source) return false;
    const text = this.text.toLowerCase();
    return text === "" || [e.message, e.event, e.source, e.user].some((f) => f?.toLowerCase().includes(text));
  }

  private put(e: JournalEntry): void {
    this.known.add(e.id);
    const at = instant(e.time);
    let i = 0;
    while (i < this.entries.length && instant(this.entries[i]!.time) > at) i++;
    this.entries.splice(i, 0, e);
    if (this.entries.length > mostRows) for (const gone of this.entries.splice(mostRows)) this.known.delete(gone.id);
  }

  private async load(older: boolean): Promise<void> {
    const asked = ++this.asked;
    this.loading = true;
    this.requestUpdate();
    const q = new URLSearchParams({ limit: String(pageRows) });
    if (this.kind !== "") q.set("kind", this.kind);
    if (this.source !== "") q.set("source", this.source);
    if (this.text !== "") q.set("text", this.text);
    if (older) q.set("cursor", this.next);
    try {
      const page = await client.call<{ entries: JournalEntry[]; next?: string }>("GET", `/journal?${q}`);
      if (asked !== this.asked) return;
      if (!older) {
        this.entries = [];
        this.known.clear();
      }
      for (const e of page.entries) {
        if (this.known.has(e.id)) continue;
        this.known.add(e.id);
        this.entries.push(e);
      }
      this.next = page.next ?? "";
      this.error = "";
    } catch (e) {
      if (asked === this.asked) this.error = failureText(e);
    } finally {
      if (asked === this.asked) this.loading = false;
      this.requestUpdate();
    }
  }

  private typed = (e: Event): void => {
    this.text = (e.target as HTMLInputElement).value.trim();
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.load(false), 250);
  };

  private chosen = (e: Event): void => {
    this.kind = (e.target as HTMLSelectElement).value;
    void this.load(false);
  };

  private clearSource = (): void => {
    this.source = "";
    location.hash = link("journal");
    void this.load(false);
  };

  private save = (): void => {
    const head = ["time", "kind", "event", "source", "message", "state", "old", "new", "result", "user", "node", "epoch", "id"];
    const body = this.entries.map((e) => [e.time, e.kind, e.event, e.source ?? "", e.message ?? "", e.state ?? "", e.old ?? "", e.new ?? "", e.result ?? "", e.user ?? "", e.node ?? "", e.epoch ?? "", e.id]);
    download("journal.csv", "text/csv", csv([head, ...body]));
  };
}

// changeText is what became what: a value, or the state of an alarm with the value it has now.
function changeText(e: JournalEntry): string {
  const i = client.store.find(client.alarms.get(e.source ?? "")?.tag ?? e.source ?? "");
  const now = e.new === undefined ? "" : shown(i, e.new);
  if (e.old) return `${shown(i, e.old)} → ${now}`;
  const state = e.state ? word(settings.t, "alarmState", e.state) : "";
  return [state, now].filter((s) => s !== "").join(" · ");
}

// shown is a value as the journal has it: a state by its name, a number with the digits people read.
function shown(i: number, text: string): string {
  const def = client.store.defs[i];
  if (text === "true" || text === "false") return def ? numberText(i, Number(text === "true")) : settings.t(text === "true" ? "value.on" : "value.off");
  return def?.states?.length && /^\d+$/.test(text) ? numberText(i, Number(text)) : rounded(text);
}

customElements.define("scada-journal", Journal);
