// What tests and scripts may ask of the page, as window.scada. Read-only.
//
//   scada.state()     {server, role, epoch, connected, stale, fenced, lastFrameAgeMs, tags, unacked, user}
//   scada.gaps(name)  [{fromMs, toMs}]: spans without a good value, by the source's time
//   scada.value(name) {value, text, quality, timeMs, ageMs, stale} or undefined

import type { Client } from "./client";
import type { Gap } from "./gaps";

export interface Probe {
  state(): Record<string, unknown>;
  gaps(name: string): Gap[];
  value(name: string): Record<string, unknown> | undefined;
}

export function probe(client: Client): Probe {
  return Object.freeze({
    state: () => ({
      server: client.link.server,
      role: Object.values(client.link.roles).some((r) => r.role === "active") ? "active" : (Object.values(client.link.roles)[0]?.role ?? ""),
      epoch: client.link.epoch,
      connected: client.link.phase === "live",
      stale: client.stale,
      fenced: client.link.fenced,
      lastFrameAgeMs: client.lastFrameAgeMs,
      tags: client.store.size,
      unacked: client.alarms.counts().unacked,
      user: client.session?.user ?? "",
    }),
    gaps: (name: string) => client.store.gapBook.of(client.store.find(name)).map((g) => ({ ...g })),
    value: (name: string) => {
      const i = client.store.find(name);
      if (i < 0) return undefined;
      const store = client.store;
      const timeMs = store.times[i] ?? NaN;
      return { value: store.values[i], text: store.textOf(i), quality: store.quality(i), timeMs, ageMs: client.serverNow() - timeMs, stale: client.stale };
    },
  });
}
