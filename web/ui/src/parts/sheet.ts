// A modal sheet on the browser's own dialog: it traps the focus, closes on Escape and gives the focus back.

import { html, nothing, type TemplateResult } from "lit";
import { iconClose } from "@siemens/ix-icons/icons";
import { Part, settings } from "./context";

export abstract class Sheet extends Part {
  /** heading is the title line. */
  protected abstract heading(): TemplateResult | string;
  /** body is what stands between title and buttons. */
  protected abstract body(): TemplateResult;
  /** buttons are on the bottom line; nothing for none. */
  protected buttons(): TemplateResult | typeof nothing {
    return nothing;
  }

  protected override firstUpdated(): void {
    this.querySelector("dialog")?.showModal();
  }

  protected override render(): TemplateResult {
    return html`<dialog class="sheet" aria-labelledby="sheet-title" @close=${this.gone} @click=${this.outside}>
      <header><h2 id="sheet-title">${this.heading()}</h2><button type="button" class="btn small" aria-label=${settings.t("action.close")} @click=${this.dismiss}><ix-icon name=${iconClose} size="16" aria-hidden="true"></ix-icon></button></header>
      <div class="body">${this.body()}</div>
      ${this.footer()}
    </dialog>`;
  }

  /** dismiss closes the sheet. */
  dismiss = (): void => {
    this.querySelector("dialog")?.close();
  };

  private footer(): TemplateResult | typeof nothing {
    const buttons = this.buttons();
    return buttons === nothing ? nothing : html`<footer>${buttons}</footer>`;
  }

  private outside = (e: MouseEvent): void => {
    if (e.target === this.querySelector("dialog")) this.dismiss();
  };

  private gone = (): void => {
    this.remove();
  };
}

/** show puts a sheet on the page. */
export function show(sheet: Sheet): void {
  document.querySelector("scada-app")?.appendChild(sheet);
}
