// Sentences with {places} as patterns. Pure.

export interface Pattern {
  match: RegExp;
  places: string[];
  /** to is the sentence in the other language, with the same places. */
  to: string;
}

const escaped = (s: string): string => s.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

// A name has no blank in it, or "every path refuses" would pass for a node; a reason has.
const shape = (place: string): string => (place === "why" || place === "rest" ? "(.+)" : place.startsWith("span") || place === "time" ? "([^:;]+?)" : "(\\S+?)");

/** pattern makes a sentence recognise its like. */
export function pattern([from, to]: readonly [string, string]): Pattern {
  const places = [...from.matchAll(/\{(\w+)\}/g)].map((m) => m[1]!);
  const parts = from.split(/\{\w+\}/).map(escaped);
  const source = parts.map((p, i) => p + (i < places.length ? shape(places[i]!) : "")).join("");
  return { match: new RegExp(`^${source}$`), places, to };
}
