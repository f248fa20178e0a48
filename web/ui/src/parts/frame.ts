// The permanent frame around every page: role and link, alarm banner, navigation, clock and user.

import { html, nothing, type TemplateResult } from "lit";
import { isUnacked } from "../core/alarms";
import { age, clock, instant, zone } from "../core/format";
import { word } from "../core/i18n";
import type { Alarm } from "../core/types";
import { alarmText, priority } from "./bits";
import { languageChoice, logo, themeButton } from "./choices";
import { client, every, Part, settings } from "./context";
import { duty, sorted, splitAreas } from "./pair";
import { signOut } from "./signin";
import { here, link, listenForKeys, routes } from "./routes";
import { iconLogOut, iconUser } from "@siemens/ix-icons/icons";

/** blinkMs is half the period in which unacknowledged alarms blink. */
const blinkMs = 600;

/** bannerSlots is how many alarms the banner shows. */
const bannerSlots = 3;

export class App extends Part {
  protected override topics = ["status", "role", "alarms", "session", "tags"] as const;

  override connectedCallback(): void {
    super.connectedCallback();
    const route = (): void => {
      this.requestUpdate();
      void this.updateComplete.then(() => this.querySelector<HTMLElement>("#main")?.focus());
    };
    window.addEventListener("hashchange", route);
    this.until(() => window.removeEventListener("hashchange", route));
    this.until(every(1000, () => this.requestUpdate()));
    this.until(every(blinkMs, () => document.documentElement.classList.toggle("dim")));
    listenForKeys();
    void client.begin();
  }

  protected override render(): TemplateResult | typeof nothing {
    if (client.session === undefined) return nothing;
    if (client.session === null) return html`<scada-sign-in></scada-sign-in>`;
    const t = settings.t;
    const current = here().route;
    document.title = `${t(current.title)} · ${client.info?.project ?? t("app.name")}`;
    return html`<div class="frame ${client.stale ? "offline" : ""}">
      ${this.head()} ${this.notices()} ${this.banner()}
      <nav class="nav" aria-label=${t("frame.pages")}>
        ${routes.map(
          (r) => html`<a href=${link(r.path)} aria-current=${r === current ? "page" : "false"} aria-keyshortcuts="g ${r.key}" title=${t(r.title)}>
            <ix-icon name=${r.icon} size="24" aria-hidden="true"></ix-icon><span class="text">${t(r.title)}</span><span class="key" aria-hidden="true">g ${r.key}</span>
          </a>`,
        )}
        <div class="foot">${client.info ? html`${client.info.version}` : nothing}</div>
      </nav>
      <main class="main" id="main" tabindex="-1">${this.page(current.path)}</main>
    </div>
    ${client.out ? html`<scada-sign-in .again=${true}></scada-sign-in>` : nothing}`;
  }

  private head(): TemplateResult {
    const t = settings.t;
    const session = client.session!;
    return html`<header class="head">
      <span class="name">${logo()}<span>${client.info?.project ?? t("app.name")}</span></span>
      ${this.rolePill()} ${this.linkPill()}
      <span class="space"></span>
      <time class="clock ${client.stale ? "doubt" : ""}" title=${`${t("frame.serverClock")} (${zone(client.serverNow())})`}>${clock(client.serverNow())}</time>
      ${languageChoice()} ${themeButton()}
      <a class="pill user" href=${link("settings")} title=${t("page.settings")}><ix-icon name=${iconUser} size="16" aria-hidden="true"></ix-icon><span>${session?.user}</span><span class="quiet wide">${word(t, "userRole", session?.role ?? "")}</span></a>
      <button id="sign-out" type="button" class="plain" aria-label=${t("frame.signOut")} title=${t("frame.signOut")} @click=${() => void signOut()}>
        <ix-icon name=${iconLogOut} size="16" aria-hidden="true"></ix-icon>
      </button>
    </header>`;
  }

  private rolePill(): TemplateResult | typeof nothing {
    const t = settings.t;
    const pair = client.pair;
    if (!pair) return nothing;
    const abnormal = pair.nodes.some((n) => !["active", "standby", "mixed"].includes(duty(n)) || !n.failover_ready);
    return html`<a id="role-pill" class="pill ${client.stale ? "doubt" : abnormal ? "abnormal" : ""}" href=${link("redundancy")} title=${t("page.redundancy")}>
      ${sorted(pair).map((n, i) => {
        const d = duty(n);
        const lag = d === "standby" ? ` ${n.mirror.lag_ms} ms` : "";
        return html`${i > 0 ? html`<span aria-hidden="true">·</span>` : nothing}<span class="tag-state"><span class="dot ${d === "active" ? "" : "off"}" aria-hidden="true"></span>${n.node} ${word(t, "duty", d)}${lag}</span>`;
      })}
    </a>`;
  }

  private linkPill(): TemplateResult {
    const t = settings.t;
    const l = client.link;
    if (client.stale) {
      const text = client.out ? t("link.out") : l.fenced ? t("link.behind", { node: l.server }) : t("link.lost");
      return html`<span id="link-pill" class="pill lost" role="status">${text}</span>`;
    }
    return html`<span id="link-pill" class="pill" role="status"><span class="dot" aria-hidden="true"></span>${t("link.up", { node: l.server })}</span>`;
  }

  private notices(): TemplateResult | typeof nothing {
    const t = settings.t;
    const split = client.pair ? splitAreas(client.pair) : [];
    if (client.stale && client.link.fenced) {
      return html`<div class="notice" role="alert">${t("notice.behind", { node: client.link.server, epoch: client.link.serverEpoch, seen: client.link.epoch })}</div>`;
    }
    if (client.out) return html`<div class="notice" role="alert">${t("notice.out")}</div>`;
    if (client.stale) {
      const since = Number.isFinite(client.lostAt) ? age(Date.now() - client.lostAt) : "";
      return html`<div class="notice" role="alert">${since === "" ? t("notice.connecting") : t("notice.lost", { age: since })}</div>`;
    }
    return split.length > 0 ? html`<div class="notice" role="alert">${t("notice.split", { areas: split.join(", ") })}</div>` : nothing;
  }

  private banner(): TemplateResult {
    const t = settings.t;
    const counts = client.alarms.counts();
    const newest = client.alarms.newestUnacked(bannerSlots);
    const slots = Array.from({ length: bannerSlots }, (_, i) => newest[i]);
    return html`<section class="banner" aria-label=${t("banner.label")}>
      <a class="total" id="unacked" href=${link("alarms")}><span class="long">${t("banner.unacked", { n: counts.unacked })}</span><span class="short">${t("banner.unackedShort", { n: counts.unacked })}</span></a>
      ${slots.map((a) => (a ? this.cell(a) : html`<span class="slot"></span>`))}
    </section>`;
  }

  private cell(a: Alarm): TemplateResult {
    return html`<a class="slot" href=${link("alarms", { id: a.id })} title=${`${a.tag} · ${alarmText(a)}`}>
      ${priority(a.priority, isUnacked(a))}<span class="what">${a.message ? alarmText(a) : `${a.tag} · ${alarmText(a)}`}</span><span class="when">${clock(instant(a.time ?? ""))}</span>
    </a>`;
  }

  private page(path: string): TemplateResult {
    switch (path) {
      case "mimic":
        return html`<scada-mimic></scada-mimic>`;
      case "tags":
        return html`<scada-tags></scada-tags>`;
      case "alarms":
        return html`<scada-alarms></scada-alarms>`;
      case "kpi":
        return html`<scada-kpi></scada-kpi>`;
      case "trends":
        return html`<scada-trends></scada-trends>`;
      case "devices":
        return html`<scada-devices></scada-devices>`;
      case "redundancy":
        return html`<scada-redundancy></scada-redundancy>`;
      case "journal":
        return html`<scada-journal></scada-journal>`;
      case "settings":
        return html`<scada-settings></scada-settings>`;
      default:
        return html`<scada-overview></scada-overview>`;
    }
  }
}

customElements.define("scada-app", App);
