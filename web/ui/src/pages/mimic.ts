// Mimic: the picture of the plant with its values in place: the one of the waterworks, or one a user drew.

import { html, nothing, type TemplateResult } from "lit";
import { Binding } from "../parts/bind";
import { client, every, Part, settings } from "../parts/context";
import { faceplate } from "../parts/faceplate";
import { here, link } from "../parts/routes";
import { failureText, local } from "../parts/say";
import { waterworks } from "./waterworks";

/** builtIn is the name under which the waterworks stands in the list. */
const builtIn = "";

export class Mimic extends Part {
  protected override topics = ["values", "alarms", "tags", "status"] as const;
  private binding: Binding | undefined;
  private shape = -1;
  private names: string[] = [];
  private picture = here().params.get("picture") ?? builtIn;
  private asked = 0;
  private texts = -1;
  private wide = false;
  private error = "";

  override connectedCallback(): void {
    super.connectedCallback();
    this.until(every(1000, () => this.refresh()));
    void this.list();
  }

  protected override refresh(): void {
    if (!this.binding || this.shape !== client.store.shape || this.texts !== client.texts.version) {
      this.bind();
      return;
    }
    this.binding.values();
    this.binding.alarms();
  }

  protected override firstUpdated(): void {
    settings.addEventListener("change", this.restyle);
    this.until(() => settings.removeEventListener("change", this.restyle));
    if (this.picture === builtIn) this.bind();
    else void this.load();
  }

  protected override render(): TemplateResult {
    const t = settings.t;
    return html`<div class="page-head"><h1>${t("page.mimic")}</h1>
        ${this.names.length === 0
          ? nothing
          : html`<select class="in narrow" id="picture" aria-label=${t("mimic.choose")} @change=${this.chosen}>
              ${[builtIn, ...this.names].map((n) => html`<option value=${n} ?selected=${n === this.picture}>${n === builtIn ? t("mimic.waterworks") : n}</option>`)}
            </select>`}
        <span class="quiet">${t("mimic.hint")}</span><span class="space"></span>
        <button type="button" class="btn" aria-pressed=${this.wide} @click=${this.widen}>${t("mimic.enlarge")}</button></div>
      ${this.error === "" ? nothing : html`<div class="error" role="alert">${this.error}</div>`}
      <div class="card mimic ${this.wide ? "wide" : ""}" tabindex="0" role="region" aria-label=${t("page.mimic")} @click=${this.open} @keydown=${this.key}>
        <svg viewBox="0 0 1190 570" preserveAspectRatio="xMidYMid meet" role="group" aria-label=${t("mimic.waterworks")} ?hidden=${this.picture !== builtIn} class=${this.picture === builtIn ? "" : "hidden"}>
          <defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="m-hatch" width="2" height="6"></rect></pattern></defs>
          ${waterworks()}
        </svg>
        <div class="drawn ${this.picture === builtIn ? "hidden" : ""}" id="drawn"></div>
      </div>`;
  }

  private restyle = (): void => {
    this.requestUpdate();
    void this.updateComplete.then(() => this.bind());
  };

  private widen = (): void => {
    this.wide = !this.wide;
    this.requestUpdate();
  };

  private bind(): void {
    const root = this.querySelector(this.picture === builtIn ? ".mimic > svg" : "#drawn");
    if (!root) return;
    this.shape = client.store.shape;
    this.texts = client.texts.version;
    this.letter();
    this.binding = new Binding(root);
    this.binding.values();
    this.binding.alarms();
  }

  // What is written in a drawing is a text of the plant like a description.
  private letter(): void {
    for (const e of this.querySelectorAll<SVGElement>("#drawn text, #drawn tspan")) {
      if (e.childElementCount > 0 || e.closest("[data-tag]")) continue;
      const drawn = (e.dataset["drawn"] ??= e.textContent ?? "");
      const text = local(drawn.trim()) || drawn;
      if (e.textContent !== text) e.textContent = text;
    }
  }

  private async list(): Promise<void> {
    try {
      this.names = (await client.call<{ mimics: string[] }>("GET", "/mimics")).mimics;
      this.requestUpdate();
    } catch (e) {
      console.warn("mimics", e); // the waterworks is there all the same
    }
  }

  private chosen = (e: Event): void => {
    this.picture = (e.target as HTMLSelectElement).value;
    history.replaceState(null, "", link("mimic", this.picture === builtIn ? {} : { picture: this.picture }));
    this.binding = undefined;
    this.error = "";
    this.requestUpdate();
    void this.updateComplete.then(() => (this.picture === builtIn ? this.bind() : this.load()));
  };

  // The server has taken everything out of the drawing that does more than draw. It is taken into the page as elements, so that the
  // page's colours and its marks of doubt apply to it.
  private async load(): Promise<void> {
    const asked = ++this.asked;
    const box = this.querySelector("#drawn");
    try {
      const text = await client.http.text(client.link.origin, `/mimics/${encodeURIComponent(this.picture)}`);
      if (asked !== this.asked || !box) return;
      const drawing = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
      if (drawing.localName !== "svg") throw new Error(drawing.textContent ?? "");
      drawing.setAttribute("role", "group");
      drawing.setAttribute("aria-label", this.picture);
      for (const e of drawing.querySelectorAll("[data-tag]")) {
        e.setAttribute("role", "button");
        e.setAttribute("tabindex", "0");
      }
      box.replaceChildren(document.importNode(drawing, true));
      this.error = "";
      this.bind();
    } catch (e) {
      box?.replaceChildren();
      this.error = settings.t("mimic.broken", { why: failureText(e) });
    }
    this.requestUpdate();
  }

  private open = (e: Event): void => {
    const tag = (e.target as Element).closest<SVGElement>("[data-tag]")?.dataset["tag"];
    if (tag !== undefined && client.store.find(tag) >= 0) faceplate(tag);
  };

  private key = (e: KeyboardEvent): void => {
    if ((e.key !== "Enter" && e.key !== " ") || !(e.target as Element).closest("[data-tag]")) return;
    e.preventDefault();
    this.open(e);
  };
}

customElements.define("scada-mimic", Mimic);
