// What an administrator may order of the pair, each with a question first: switch, drill, maintenance, release, take by force.

import { html, nothing, type TemplateResult } from "lit";
import type { Node } from "../core/types";
import { ask } from "./ask";
import { client, settings } from "./context";
import { crossed, duty } from "./pair";
import { say } from "./say";

/** orderMs is how long an order may take: a drill lets the other node act for a while. */
const orderMs = 55_000;

async function order(verb: string, body: Record<string, unknown>): Promise<void> {
  await client.call("POST", `/role/${verb}`, body, orderMs);
}

/** problems lists why a node could not take over, for the question before a switch. */
function problems(n: Node | undefined): TemplateResult | typeof nothing {
  if (!n || n.failover_ready) return nothing;
  return html`<p class="q-uncertain">${settings.t("role.readyNo")}</p><ul class="reasons">${(n.not_ready ?? []).map((r) => html`<li>${say(r)}</li>`)}</ul>`;
}

/** switchTo asks to make a node active, in one area or in all. */
export function switchTo(to: string, area = ""): void {
  const t = settings.t;
  const pair = client.pair;
  if (!pair || client.stale) return;
  const target = pair.nodes.find((n) => n.node === to);
  const from = pair.nodes.find((n) => n.node !== to)?.node ?? "—";
  ask({
    title: area === "" ? t("role.switchTitle", { to }) : t("role.switchAreaTitle", { area, to }),
    text: html`<p>${t("role.switchText", { from, to })}</p>${problems(target)}`,
    confirm: t("role.switch"),
    reason: t("role.reason"),
    run: (reason) => order("switch", { reason, ...(area === "" ? {} : { area }), ...(area === "" && !crossed(pair) ? {} : { to }) }),
  });
}

function drill(): void {
  const t = settings.t;
  ask({ title: t("role.drill"), text: html`<p>${t("role.drillText")}</p>`, confirm: t("role.drillStart"), reason: t("role.reason"), run: (reason) => order("drill", { reason }) });
}

function release(): void {
  const t = settings.t;
  ask({ title: t("role.release"), text: t("role.releaseText"), confirm: t("role.release"), reason: t("role.reason"), run: (reason) => order("release", { reason }) });
}

function take(node: string): void {
  const t = settings.t;
  ask({
    title: t("role.takeTitle", { node }),
    text: html`<p class="q-bad">${t("role.takeText", { node })}</p>`,
    confirm: t("role.take"),
    reason: t("role.reason"),
    reasonNeeded: true,
    run: (reason) => order("take", { reason, force: true }),
  });
}

function maintenance(node: string, on: boolean): void {
  const t = settings.t;
  ask({
    title: on ? t("role.maintenanceOn", { node }) : t("role.maintenanceOff", { node }),
    text: on ? t("role.maintenanceOnText") : t("role.maintenanceOffText"),
    confirm: on ? t("role.maintenanceOn", { node }) : t("role.maintenanceOff", { node }),
    reason: t("role.reason"),
    run: (reason) => order("maintenance", { reason, on }),
  });
}

/** orders are the buttons; what may not be ordered is off, with the reason beside it. */
export function orders(): TemplateResult {
  const t = settings.t;
  const pair = client.pair;
  const may = client.may("role.change");
  const off = !may || client.stale;
  const here = pair?.nodes.find((n) => n.node === client.link.server);
  const resting = here !== undefined && duty(here) === "maintenance";
  const lonely = pair?.nodes.some((n) => !n.reachable) ?? false;
  const idle = here !== undefined && duty(here) !== "active" && lonely;
  return html`${may ? nothing : html`<span class="note">${t("role.notAllowed")}</span>`}
    ${idle ? html`<ix-button id="role-take" variant="secondary" ?disabled=${off} @click=${() => take(here.node)}>${t("role.take")}</ix-button>` : nothing}
    <ix-button id="role-maintenance" variant="secondary" ?disabled=${off || !here} @click=${() => maintenance(here!.node, !resting)}>${t(resting ? "role.maintenanceOff" : "role.maintenanceOn", { node: here?.node ?? "" })}</ix-button>
    <ix-button id="role-release" variant="secondary" ?disabled=${off} @click=${release}>${t("role.release")}</ix-button>
    <ix-button id="role-drill" variant="secondary" ?disabled=${off || lonely} @click=${drill}>${t("role.drill")}</ix-button>
    ${switches(off)}`;
}

// One button when one node has everything; one for each node when the areas are crossed.
function switches(off: boolean): TemplateResult {
  const t = settings.t;
  const pair = client.pair;
  if (pair && crossed(pair)) {
    return html`${pair.nodes.map((n) => html`<ix-button data-to=${n.node} ?disabled=${off} @click=${() => switchTo(n.node)}>${t("role.allTo", { node: n.node })}</ix-button>`)}`;
  }
  const to = pair?.nodes.find((n) => duty(n) !== "active")?.node;
  return html`<ix-button id="role-switch" ?disabled=${off || to === undefined} @click=${() => to !== undefined && switchTo(to)}>${t("role.switch")}</ix-button>`;
}
