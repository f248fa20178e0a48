// What every part of the page shares: the client, the language, the colours, the page shown.

import { LitElement } from "lit";
import { Client, type Topic } from "../core/client";
import { preferred, translator, type Lang, type Translate } from "../core/i18n";

export type Theme = "light" | "dark";

const langKey = "scada.lang";
const themeKey = "scada.theme";

/** Settings are the reader's choices, kept in the browser. */
export class Settings extends EventTarget {
  lang: Lang;
  theme: Theme;
  t: Translate;

  constructor() {
    super();
    const lang = localStorage.getItem(langKey);
    const theme = localStorage.getItem(themeKey);
    this.lang = lang === "en" || lang === "zh" ? lang : preferred(navigator.languages);
    this.theme = theme === "light" || theme === "dark" ? theme : matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    this.t = translator(this.lang);
    this.show();
  }

  setLang(lang: Lang): void {
    this.lang = lang;
    this.t = translator(lang);
    localStorage.setItem(langKey, lang);
    this.show();
    this.dispatchEvent(new Event("lang"));
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
    localStorage.setItem(themeKey, theme);
    this.show();
  }

  private show(): void {
    document.documentElement.lang = this.lang === "zh" ? "zh-CN" : "en";
    document.documentElement.setAttribute("data-ix-color-schema", this.theme);
    this.dispatchEvent(new Event("change"));
  }
}

export const settings = new Settings();
export const client = new Client();
settings.addEventListener("lang", () => void client.loadTexts());

/** Part is an element of the page: drawn into the document itself, so that one style sheet serves all, and again when a topic
 * it names, the language or the colours change. */
export abstract class Part extends LitElement {
  /** topics are what the part shows. */
  protected topics: readonly Topic[] = [];
  private undo: (() => void)[] = [];

  protected override createRenderRoot(): HTMLElement {
    return this;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    const update = (): void => this.refresh();
    for (const topic of this.topics) this.undo.push(client.on(topic, update));
    settings.addEventListener("change", update);
    this.undo.push(() => settings.removeEventListener("change", update));
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    for (const f of this.undo.splice(0)) f();
  }

  /** until registers what is undone when the part leaves the page. */
  protected until(undo: () => void): void {
    this.undo.push(undo);
  }

  /** refresh draws the part again; parts with a cheaper way to follow values override it. */
  protected refresh(): void {
    this.requestUpdate();
  }
}

/** every calls back at an interval until the returned function is called. */
export function every(ms: number, callback: () => void): () => void {
  const timer = setInterval(callback, ms);
  return () => clearInterval(timer);
}
