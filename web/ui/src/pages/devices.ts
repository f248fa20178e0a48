// Devices: state, counters and last error of every device as the server in use sees it.

import { html, nothing, type TemplateResult } from "lit";
import { age, count, instant, latency, stamp } from "../core/format";
import { isKey, word } from "../core/i18n";
import type { Device } from "../core/types";
import { client, every, Part, settings } from "../parts/context";
import { deviceSheet } from "../parts/devicesheet";
import { say } from "../parts/say";

const abnormal = new Set(["connecting", "disconnected"]);

export class Devices extends Part {
  protected override topics = ["devices", "status"] as const;

  override connectedCallback(): void {
    super.connectedCallback();
    this.until(every(1000, () => this.requestUpdate()));
  }

  protected override render(): TemplateResult {
    const t = settings.t;
    const list = [...client.devices].sort((a, b) => a.name.localeCompare(b.name));
    return html`<div class="page-head"><h1>${t("page.devices")}</h1><span class="quiet">${t("device.seenBy", { node: client.link.server })}</span></div>
      <div class="scroll" tabindex="0" role="region" aria-label=${t("page.devices")}>
        <table class="grid" id="device-table">
          <thead><tr>
            <th>${t("device.name")}</th><th>${t("device.state")}</th><th class="wide-col">${t("device.driver")}</th><th>${t("device.endpoint")}</th><th class="num wide-col">${t("device.tags")}</th><th class="num">${t("device.latency")}</th>
            <th class="num wide-col">${t("device.requests")}</th><th class="num">${t("device.errors")}</th><th class="num">${t("device.timeouts")}</th><th class="num wide-col">${t("device.overruns")}</th><th class="num wide-col">${t("device.reconnects")}</th><th>${t("device.lastError")}</th>
          </tr></thead>
          <tbody>${list.map((d) => this.row(d))}</tbody>
        </table>
        ${list.length === 0 ? html`<div class="empty">${t("device.none")}</div>` : nothing}
      </div>`;
  }

  private row(d: Device): TemplateResult {
    const t = settings.t;
    const since = instant(d.since ?? "");
    const errorAt = instant(d.last_error_at);
    return html`<tr data-device=${d.name} data-state=${d.state}>
      <td><button type="button" class="rowlink" @click=${() => deviceSheet(d.name)}>${d.name}</button></td>
      <td class=${abnormal.has(d.state) ? "q-bad" : ""} title=${d.detail ?? ""}>${word(t, "deviceState", d.state)}${Number.isFinite(since) ? html` <span class="quiet">${age(client.serverNow() - since)}</span>` : nothing}</td>
      <td class="wide-col">${word(t, "driver", d.driver)}</td>
      <td class="code">${isKey(`driver.${d.driver}`) ? "" : d.endpoint}</td>
      <td class="num wide-col">${d.tags}</td>
      <td class="num">${d.latency_ms > 0 ? latency(d.latency_ms) : "—"}</td>
      <td class="num wide-col">${count(d.requests)}</td>
      <td class="num">${count(d.errors)}</td>
      <td class="num">${count(d.timeouts)}</td>
      <td class="num wide-col">${count(d.overruns)}</td>
      <td class="num wide-col">${count(d.reconnects)}</td>
      <td class="message">${d.last_error ? html`${say(d.last_error)} <span class="quiet code">${Number.isFinite(errorAt) ? stamp(errorAt) : ""}</span>` : nothing}</td>
    </tr>`;
  }
}

customElements.define("scada-devices", Devices);
