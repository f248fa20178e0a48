// Mimic: the picture of the plant with its values in place.

import { html, type TemplateResult } from "lit";
import { Binding } from "../parts/bind";
import { client, every, Part, settings } from "../parts/context";
import { faceplate } from "../parts/faceplate";
import { waterworks } from "./waterworks";

export class Mimic extends Part {
  protected override topics = ["values", "alarms", "tags", "status"] as const;
  private binding: Binding | undefined;
  private shape = -1;

  override connectedCallback(): void {
    super.connectedCallback();
    this.until(every(1000, () => this.refresh()));
  }

  protected override refresh(): void {
    if (!this.binding || this.shape !== client.store.shape) {
      this.bind();
      return;
    }
    this.binding.values();
    this.binding.alarms();
  }

  protected override firstUpdated(): void {
    settings.addEventListener("change", this.restyle);
    this.until(() => settings.removeEventListener("change", this.restyle));
    this.bind();
  }

  protected override render(): TemplateResult {
    const t = settings.t;
    return html`<div class="page-head"><h1>${t("page.mimic")}</h1><span class="quiet">${t("mimic.hint")}</span></div>
      <div class="card mimic" tabindex="0" role="region" aria-label=${t("page.mimic")}>
        <svg viewBox="0 0 1190 570" preserveAspectRatio="xMidYMid meet" role="group" aria-label=${t("page.mimic")} @click=${this.open} @keydown=${this.key}>
          <defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="m-hatch" width="2" height="6"></rect></pattern></defs>
          ${waterworks()}
        </svg>
      </div>`;
  }

  private restyle = (): void => {
    this.requestUpdate();
    void this.updateComplete.then(() => this.bind());
  };

  private bind(): void {
    const root = this.querySelector("svg");
    if (!root) return;
    this.shape = client.store.shape;
    this.binding = new Binding(root);
    this.binding.values();
    this.binding.alarms();
  }

  private open = (e: Event): void => {
    const tag = (e.target as Element).closest<SVGElement>("[data-tag]")?.dataset["tag"];
    if (tag !== undefined && client.store.find(tag) >= 0) faceplate(tag);
  };

  private key = (e: KeyboardEvent): void => {
    if (e.key !== "Enter" && e.key !== " ") return;
    e.preventDefault();
    this.open(e);
  };
}

customElements.define("scada-mimic", Mimic);
