// Language, colours, and the mark of the product.

import { html, type TemplateResult } from "lit";
import { iconLightDark } from "@siemens/ix-icons/icons";
import type { Lang } from "../core/i18n";
import { settings } from "./context";

export function languageChoice(id = "language", look = ""): TemplateResult {
  const change = (e: Event): void => settings.setLang((e.target as HTMLSelectElement).value as Lang);
  return html`<select id=${id} class=${look} aria-label=${settings.t("frame.language")} @change=${change}>
    <option value="en" lang="en" ?selected=${settings.lang === "en"}>English</option>
    <option value="zh" lang="zh-CN" ?selected=${settings.lang === "zh"}>中文</option>
  </select>`;
}

export function themeButton(): TemplateResult {
  const label = settings.t(settings.theme === "dark" ? "frame.toLight" : "frame.toDark");
  const flip = (): void => settings.setTheme(settings.theme === "dark" ? "light" : "dark");
  return html`<button id="theme" type="button" class="plain" aria-label=${label} title=${label} @click=${flip}><ix-icon name=${iconLightDark} size="16" aria-hidden="true"></ix-icon></button>`;
}

/** logo is the pair: one node full, one dashed. */
export function logo(): TemplateResult {
  return html`<svg width="26" height="20" viewBox="0 0 26 20" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="2">
    <rect x="1" y="3" width="9" height="14" rx="1.5" fill="currentColor"></rect>
    <path d="M10 10h6"></path>
    <rect x="16" y="3" width="9" height="14" rx="1.5" stroke-dasharray="3 2"></rect>
  </svg>`;
}
