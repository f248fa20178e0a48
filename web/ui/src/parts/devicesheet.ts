// One device in full: how it answers, what it failed at, and the tags it carries.

import { html, nothing, type TemplateResult } from "lit";
import { age, count, fixed, instant, latency, stamp } from "../core/format";
import { isKey, word } from "../core/i18n";
import type { Device } from "../core/types";
import { doubt } from "./bits";
import { client, every, settings } from "./context";
import { link } from "./routes";
import { say } from "./say";
import { Sheet, show } from "./sheet";

class DeviceSheet extends Sheet {
  protected override topics = ["devices", "status"] as const;
  device = "";

  override connectedCallback(): void {
    super.connectedCallback();
    this.until(every(1000, () => this.requestUpdate()));
  }

  protected override heading(): string {
    return this.device;
  }

  protected override body(): TemplateResult {
    const t = settings.t;
    const d = client.devices.find((x) => x.name === this.device);
    if (!d) return html`<div>${t("device.gone")}</div>`;
    const since = instant(d.since ?? "");
    const tags = this.tags();
    return html`<dl class="facts" id="device-facts">
        <dt>${t("device.state")}</dt><dd class=${d.state === "disconnected" || d.state === "connecting" ? "q-bad" : ""}>${word(t, "deviceState", d.state)} <span class="quiet">${Number.isFinite(since) ? `${stamp(since)} (${age(client.serverNow() - since)})` : ""}</span></dd>
        <dt>${t("tag.area")}</dt><dd>${d.area}</dd>
        <dt>${t("device.driver")}</dt><dd>${word(t, "driver", d.driver)} <span class="code quiet">${isKey(`driver.${d.driver}`) ? nothing : d.endpoint}</span></dd>
        <dt>${t("device.tags")}</dt><dd>${tags.all}${tags.doubtful > 0 ? html` <span class="q-uncertain">${t("device.doubtful", { n: tags.doubtful })}</span>` : nothing}</dd>
        <dt>${t("device.latency")}</dt><dd>${d.latency_ms > 0 ? latency(d.latency_ms) : "—"}</dd>
        <dt>${t("device.requests")}</dt><dd>${count(d.requests)}</dd>
        <dt>${t("device.failed")}</dt><dd>${failed(d)}</dd>
        <dt>${t("device.errors")}</dt><dd>${count(d.errors)}</dd>
        <dt>${t("device.timeouts")}</dt><dd>${count(d.timeouts)}</dd>
        <dt>${t("device.overruns")}</dt><dd>${count(d.overruns)}</dd>
        <dt>${t("device.reconnects")}</dt><dd>${count(d.reconnects)}</dd>
        ${d.last_error ? html`<dt>${t("device.lastError")}</dt><dd>${say(d.last_error)} <span class="quiet code">${stamp(instant(d.last_error_at))}</span></dd>` : nothing}
        ${d.detail ? html`<dt>${t("device.detail")}</dt><dd>${d.detail}</dd>` : nothing}
      </dl>
      <div class="row"><a class="btn" href=${link("tags", { device: d.name })} @click=${this.dismiss}>${t("device.itsTags")}</a><a class="btn" href=${link("journal", { source: d.name })} @click=${this.dismiss}>${t("alarm.history")}</a></div>`;
  }

  private tags(): { all: number; doubtful: number } {
    let all = 0;
    let doubtful = 0;
    client.store.defs.forEach((def, i) => {
      if (def?.device !== this.device) return;
      all++;
      if (doubt(i) !== "") doubtful++;
    });
    return { all, doubtful };
  }
}

// failed is the share of requests that had no good answer.
function failed(d: Device): string {
  if (d.requests === 0) return "—";
  const share = (100 * (d.errors + d.timeouts)) / d.requests;
  return share > 0 && share < 0.01 ? "< 0.01 %" : `${fixed(share, 2)} %`;
}

customElements.define("scada-device-sheet", DeviceSheet);

/** deviceSheet opens a device. */
export function deviceSheet(name: string): void {
  const sheet = new DeviceSheet();
  sheet.device = name;
  show(sheet);
}
