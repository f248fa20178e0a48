// What the plant file says, such as descriptions and messages of alarms, in the reader's language, after the plant's own table. A
// {place} of a text stands for one word or number. Pure.

import { pattern, type Pattern } from "./patterns";

/** mostKept is how many answers are remembered. */
const mostKept = 20_000;

/** longest is the longest text that is compared with the patterns. */
const longest = 500;

export class Texts {
  /** version grows with every table. */
  version = 0;
  private exact = new Map<string, string>();
  private patterns: Pattern[] = [];
  private kept = new Map<string, string>();

  /** load takes over the plant's table. */
  load(table: Readonly<Record<string, string>>): void {
    this.exact = new Map(Object.entries(table));
    this.patterns = Object.entries(table)
      .filter(([text]) => text.includes("{"))
      .map(pattern);
    this.kept = new Map();
    this.version++;
  }

  /** say is a text in the reader's language; one that the table does not have stays as it is. */
  say(text: string | undefined): string {
    if (text === undefined || text === "" || this.exact.size === 0) return text ?? "";
    const known = this.exact.get(text) ?? this.kept.get(text);
    if (known !== undefined) return known;
    const found = this.match(text);
    if (this.kept.size >= mostKept) this.kept.clear();
    this.kept.set(text, found);
    return found;
  }

  private match(text: string): string {
    if (text.length > longest) return text;
    for (const p of this.patterns) {
      const found = p.match.exec(text);
      if (!found) continue;
      const values = new Map(p.places.map((name, i) => [name, found[i + 1]!]));
      return p.to.replace(/\{(\w+)\}/g, (_, name: string) => values.get(name) ?? "");
    }
    return text;
  }
}
