// What a node says, in the reader's language.

import { Failure } from "../core/http";
import { word } from "../core/i18n";
import { said } from "../core/sentences";
import type { JournalEntry } from "../core/types";
import { client, settings } from "./context";

/** local is a text of the plant file, such as a description, in the reader's language. */
export function local(text: string | undefined): string {
  return client.texts.say(text);
}

/** say translates a sentence of a node, such as a reason, or of the plant file; times in it lose the digits nobody reads. */
export function say(text: string | undefined): string {
  const own = local(text);
  if (own !== (text ?? "")) return own;
  return said(settings.lang, settings.t, text?.replace(/\b\d+\.\d{3,}(?=m?s\b)/g, (n) => String(Number(Number(n).toPrecision(3)))));
}

/** failureText is a refused or failed request as a sentence: the meaning of its code, then what the server says of it. */
export function failureText(e: unknown): string {
  if (!(e instanceof Failure)) return e instanceof Error ? e.message : String(e);
  const t = settings.t;
  const code = e.status === 0 ? "unreachable" : e.code;
  const meaning = word(t, "code", code);
  if (e.status === 0) return meaning;
  return e.detail === "" || meaning === code ? say(e.detail) || meaning : t("code.text", { meaning, detail: say(e.detail) });
}

/** actor is who did what an entry of the journal tells. */
export function actor(e: JournalEntry): string {
  return word(settings.t, "actor", e.user ?? "");
}
