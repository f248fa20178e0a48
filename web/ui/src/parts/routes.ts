// The pages: their address, key and icon.

import { iconAlarmBell, iconBarchart, iconCogwheel, iconDashboard, iconFlowPhysically, iconHistoryList, iconNetworkDevice, iconProjectServer, iconTag, iconTrend } from "@siemens/ix-icons/icons";
import type { Key } from "../core/i18n";

export interface Route {
  path: string;
  key: string; // after g
  title: Key;
  icon: string;
}

export const routes: readonly Route[] = [
  { path: "overview", key: "o", title: "page.overview", icon: iconDashboard },
  { path: "mimic", key: "m", title: "page.mimic", icon: iconFlowPhysically },
  { path: "tags", key: "t", title: "page.tags", icon: iconTag },
  { path: "alarms", key: "a", title: "page.alarms", icon: iconAlarmBell },
  { path: "kpi", key: "k", title: "page.kpi", icon: iconBarchart },
  { path: "trends", key: "r", title: "page.trends", icon: iconTrend },
  { path: "devices", key: "d", title: "page.devices", icon: iconNetworkDevice },
  { path: "redundancy", key: "u", title: "page.redundancy", icon: iconProjectServer },
  { path: "journal", key: "j", title: "page.journal", icon: iconHistoryList },
  { path: "settings", key: "s", title: "page.settings", icon: iconCogwheel },
];

/** here returns the page and the parameters in the address: #/trends?pens=a,b. */
export function here(): { route: Route; params: URLSearchParams } {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?", 2);
  const route = routes.find((r) => r.path === path) ?? routes[0]!;
  return { route, params: new URLSearchParams(query ?? "") };
}

/** link is the address of a page. */
export function link(path: string, params: Record<string, string> = {}): string {
  const query = new URLSearchParams(params).toString();
  return `#/${path}${query === "" ? "" : `?${query}`}`;
}

/** chordMs is how long after g the letter counts. */
const chordMs = 1500;

/** listenForKeys goes to pages by g and a letter, except while something is being typed. */
export function listenForKeys(): void {
  let since = -Infinity;
  document.addEventListener("keydown", (e) => {
    const target = e.target instanceof HTMLElement ? e.target : null;
    if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector("dialog[open]")) return;
    if (target?.matches("input, select, textarea, [contenteditable]")) return;
    if (e.key === "g") {
      since = e.timeStamp;
      return;
    }
    const route = e.timeStamp - since < chordMs ? routes.find((r) => r.key === e.key) : undefined;
    since = -Infinity;
    if (route) {
      e.preventDefault();
      location.hash = link(route.path);
    } else if (e.key === "/") {
      const search = document.querySelector<HTMLInputElement>("input.search");
      if (search) {
        e.preventDefault();
        search.focus();
      }
    }
  });
}
