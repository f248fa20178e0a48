// What the state of the pair means for the reader. Pure.

import type { Node, Pair } from "../core/types";

/** Duty is what a node does, over all areas. */
export type Duty = "active" | "standby" | "mixed" | "starting" | "isolated" | "maintenance" | "unreachable";

export function duty(n: Node): Duty {
  if (!n.reachable) return "unreachable";
  const roles = new Set((n.areas ?? []).map((a) => a.role));
  if (roles.size === 1) return [...roles][0]!;
  return roles.size === 0 ? "starting" : "mixed";
}

/** sorted returns the nodes in order of their names, so that a switch-over does not make them change places. */
export function sorted(pair: Pair): Node[] {
  return [...pair.nodes].sort((x, y) => x.node.localeCompare(y.node));
}

/** splitAreas names the areas that two reachable nodes both claim. */
export function splitAreas(pair: Pair): string[] {
  const claims = new Map<string, number>();
  for (const n of pair.nodes) {
    if (!n.reachable) continue;
    for (const a of n.areas ?? []) if (a.role === "active") claims.set(a.area, (claims.get(a.area) ?? 0) + 1);
  }
  return [...claims].filter(([, n]) => n > 1).map(([area]) => area);
}

/** epochOf is the highest epoch the node claims. */
export function epochOf(n: Node): number {
  return Math.max(0, ...(n.areas ?? []).map((a) => a.epoch));
}

/** crossed tells that each node is active in some area. */
export function crossed(pair: Pair): boolean {
  return pair.nodes.filter((n) => n.reachable && (n.areas ?? []).some((a) => a.role === "active")).length > 1;
}

/** areaNames are the areas of the pair, in order. */
export function areaNames(pair: Pair): string[] {
  return [...new Set(pair.nodes.flatMap((n) => (n.areas ?? []).map((a) => a.area)))].sort();
}
