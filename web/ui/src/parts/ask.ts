// A question with a reason before something that matters.

import { html, nothing, type TemplateResult } from "lit";
import { settings } from "./context";
import { failureText } from "./say";
import { Sheet, show } from "./sheet";

export interface Question {
  title: string;
  text: TemplateResult | string;
  confirm: string;
  /** reason is the label of a text to be given; reasonNeeded makes it required. */
  reason?: string;
  reasonNeeded?: boolean;
  /** run does it; an error it throws is shown and the sheet stays. */
  run(reason: string): Promise<void>;
}

class Ask extends Sheet {
  question!: Question;
  private error = "";
  private busy = false;

  protected override heading(): string {
    return this.question.title;
  }

  protected override body(): TemplateResult {
    const q = this.question;
    return html`<div>${q.text}</div>
      ${q.reason === undefined ? nothing : html`<label class="field"><span>${q.reason}</span><input class="in" id="ask-reason" maxlength="200" ?required=${q.reasonNeeded ?? false} /></label>`}
      ${this.error === "" ? nothing : html`<div class="error" role="alert">${this.error}</div>`}`;
  }

  protected override buttons(): TemplateResult {
    return html`<ix-button id="ask-cancel" variant="secondary" @click=${this.dismiss}>${settings.t("action.cancel")}</ix-button>
      <ix-button id="ask-confirm" ?disabled=${this.busy} ?loading=${this.busy} @click=${this.confirm}>${this.question.confirm}</ix-button>`;
  }

  private confirm = async (): Promise<void> => {
    const input = this.querySelector<HTMLInputElement>("#ask-reason");
    if (this.busy || (input && !input.reportValidity())) return;
    this.busy = true;
    this.error = "";
    this.requestUpdate();
    try {
      await this.question.run(input?.value.trim() ?? "");
      this.dismiss();
    } catch (e) {
      this.error = failureText(e);
    } finally {
      this.busy = false;
      this.requestUpdate();
    }
  };
}

customElements.define("scada-ask", Ask);

/** ask puts a question. */
export function ask(question: Question): void {
  const sheet = new Ask();
  sheet.question = question;
  show(sheet);
}
