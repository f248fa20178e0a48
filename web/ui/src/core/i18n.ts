// Sentences in the reader's language. Every sentence is whole in the table; only names and numbers are put in. Pure.

import { messages } from "./messages";

export type Lang = "en" | "zh";
export type Key = keyof typeof messages;

/** Translate returns the sentence of a key with {name} places filled. */
export type Translate = (key: Key, values?: Record<string, string | number>) => string;

/** translator returns the sentences in one language. */
export function translator(lang: Lang): Translate {
  return (key, values) => fill(messages[key][lang], values);
}

/** isKey tells whether the table has a sentence under this name: words that come from the server (states, kinds) are looked up. */
export function isKey(name: string): name is Key {
  return Object.hasOwn(messages, name);
}

/** word is the translation of a word from the server, or the word itself when the table does not know it. */
export function word(t: Translate, prefix: string, name: string): string {
  const key = `${prefix}.${name}`;
  return isKey(key) ? t(key) : name;
}

function fill(text: string, values: Record<string, string | number> | undefined): string {
  return values ? text.replace(/\{(\w+)\}/g, (place, name: string) => String(values[name] ?? place)) : text;
}

/** preferred picks the language of a browser that has not chosen one. */
export function preferred(languages: readonly string[]): Lang {
  for (const l of languages) {
    if (l.toLowerCase().startsWith("zh")) return "zh";
    if (l.toLowerCase().startsWith("en")) return "en";
  }
  return "en";
}
