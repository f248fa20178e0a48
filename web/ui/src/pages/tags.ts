// Tags: every tag with its value, quality and age. Only the rows in sight exist; a scroll over 10,000 tags costs what one over 100 does.

import { html, type TemplateResult } from "lit";
import { age, stamp } from "../core/format";
import { word } from "../core/i18n";
import { matcher } from "../core/filter";
import { csv } from "../core/csv";
import { ageMs, doubt, download, valueText } from "../parts/bits";
import { client, every, Part, settings } from "../parts/context";
import { faceplate } from "../parts/faceplate";
import { here } from "../parts/routes";
import { gap, Rows } from "../parts/rows";
import { local } from "../parts/say";


type Show = "all" | "doubt" | "writable";

export class Tags extends Part {
  protected override topics = ["values", "tags", "status"] as const;
  private filter = "";
  private device = here().params.get("device") ?? "";
  private show: Show = "all";
  private rows: number[] = [];
  private foundFor = "";
  private readonly sight = new Rows();
  private drawn = ""; // what the rows in sight were drawn of

  override connectedCallback(): void {
    super.connectedCallback();
    this.until(every(1000, () => this.requestUpdate()));
    const resize = new ResizeObserver(() => this.measure());
    resize.observe(this);
    this.until(() => resize.disconnect());
  }

  // With thousands of tags most changes are out of sight; ages move on by the second.
  protected override refresh(): void {
    if (this.show === "doubt" || this.inSight() !== this.drawn) this.requestUpdate();
  }

  private inSight(): string {
    const store = client.store;
    const { first, last } = this.sight.visible(this.rows.length);
    let times = "";
    for (let n = first; n < last; n++) times += ` ${store.times[this.rows[n]!]} ${store.values[this.rows[n]!]} ${store.quality(this.rows[n]!)}`;
    return `${settings.lang} ${client.texts.version} ${client.stale} ${store.shape}${times}`;
  }

  protected override render(): TemplateResult {
    const t = settings.t;
    this.select();
    const { first, last } = this.sight.visible(this.rows.length);
    this.drawn = this.inSight();
    return html`<div class="page-head">
        <h1>${t("page.tags")}</h1>
        <input class="in search" type="search" aria-label=${t("tag.filter")} placeholder=${t("tag.filter")} .value=${this.filter} @input=${this.typed} />
        <select class="in narrow" aria-label=${t("tag.show")} @change=${this.chosen}>
          <option value="all">${t("tag.showAll")}</option><option value="doubt">${t("tag.showDoubt")}</option><option value="writable">${t("tag.showWritable")}</option>
        </select>
        ${this.device === "" ? "" : html`<span class="chip">${t("tag.ofDevice", { device: this.device })}<button type="button" aria-label=${t("tag.everyDevice")} @click=${this.everyDevice}>×</button></span>`}
        <span class="space"></span><span class="quiet" role="status">${t("tag.count", { n: this.rows.length, all: client.store.size })}</span>
        <button type="button" class="btn" @click=${this.save}>CSV</button>
      </div>
      <div class="scroll" id="tag-scroll" tabindex="0" role="region" aria-label=${t("page.tags")} @scroll=${this.measure}>
        <table class="grid fixed tags" aria-rowcount=${this.rows.length + 1}>
          <thead><tr>
            <th class="w-name">${t("tag.name")}</th><th class="num w-value">${t("tag.value")}</th><th class="w-unit">${t("tag.unit")}</th><th class="w-quality">${t("tag.quality")}</th>
            <th class="num w-age">${t("tag.age")}</th><th class="w-device">${t("tag.device")}</th><th class="wide-col">${t("tag.description")}</th>
          </tr></thead>
          <tbody>
            ${gap(first)} ${this.rows.slice(first, last).map((i, n) => this.row(i, first + n + 2))} ${gap(this.rows.length - last)}
          </tbody>
        </table>
        ${this.rows.length === 0 ? html`<div class="empty">${t("tag.none")}</div>` : ""}
      </div>`;
  }

  private row(i: number, index: number): TemplateResult {
    const t = settings.t;
    const store = client.store;
    const def = store.defs[i];
    const name = store.names[i]!;
    const d = doubt(i);
    return html`<tr aria-rowindex=${index} data-tag=${name}>
      <td class="cut"><button type="button" class="rowlink" @click=${() => faceplate(name)}>${name}</button></td>
      <td class="num cut"><span class="val ${d === "" ? "" : `doubt ${d}`}">${valueText(i)}</span></td>
      <td class="unit">${store.unit(i)}</td>
      <td class="cut q-${client.stale ? "uncertain" : store.grade(i)}" title=${store.quality(i)}>${client.stale ? t("quality.unknown") : word(t, "quality", store.quality(i))}</td>
      <td class="num agetext ${d === "" ? "" : "old"}">${age(ageMs(i))}</td>
      <td class="cut">${def?.device}</td>
      <td class="cut quiet wide-col" title=${local(def?.description)}>${local(def?.description)}</td>
    </tr>`;
  }

  private select(): void {
    const store = client.store;
    const wanted = `${store.shape} ${client.texts.version} ${settings.lang} ${this.show} ${this.device} ${this.filter}`;
    if (wanted === this.foundFor && this.show !== "doubt") return;
    this.foundFor = wanted;
    const match = matcher(this.filter);
    this.rows = [];
    for (let i = 0; i < store.size; i++) {
      const def = store.defs[i];
      if (!def || !match(def.name, def.description ?? "", local(def.description), def.device, def.unit ?? "")) continue;
      if (this.device !== "" && def.device !== this.device) continue;
      if (this.show === "doubt" && doubt(i) === "") continue;
      if (this.show === "writable" && !def.writable) continue;
      this.rows.push(i);
    }
    this.rows.sort((a, b) => (store.names[a]! < store.names[b]! ? -1 : 1));
  }

  private measure = (): void => {
    if (this.sight.look(this.querySelector<HTMLElement>("#tag-scroll"))) this.requestUpdate();
  };

  private typed = (e: Event): void => {
    this.filter = (e.target as HTMLInputElement).value;
    this.toTop();
  };

  private chosen = (e: Event): void => {
    this.show = (e.target as HTMLSelectElement).value as Show;
    this.toTop();
  };

  private everyDevice = (): void => {
    this.device = "";
    this.toTop();
  };

  private toTop(): void {
    const box = this.querySelector<HTMLElement>("#tag-scroll");
    if (box) box.scrollTop = 0;
    this.requestUpdate();
  }

  private save = (): void => {
    const store = client.store;
    const head = ["tag", "value", "unit", "quality", "time", "device", "description"];
    const body = this.rows.map((i) => [
      store.names[i]!, store.textOf(i) ?? store.values[i] ?? "", store.unit(i), store.quality(i), stamp(store.times[i] ?? NaN), store.defs[i]?.device ?? "", local(store.defs[i]?.description),
    ]);
    download("tags.csv", "text/csv", csv([head, ...body]));
  };
}

customElements.define("scada-tags", Tags);

