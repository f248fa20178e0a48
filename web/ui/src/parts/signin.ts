// The log-in page, and the same as a sheet over the page when the session has ended in the middle of something.

import { html, nothing, type TemplateResult } from "lit";
import { Failure } from "../core/http";
import { client, Part, settings } from "./context";
import { languageChoice, logo, themeButton } from "./choices";
import { failureText } from "./say";

/** signOut ends the session here and then, where one vouched for it, at the sign-in service. */
export async function signOut(): Promise<void> {
  const on = await client.signOut();
  if (on !== "") location.assign(on);
}

export class SignIn extends Part {
  /** again: the session has ended, and the page stays behind. */
  again = false;
  private error = "";
  private busy = false;
  private away = false; // the server that sent the page does not answer
  private due = ""; // the password that has to be changed first
  private provider = ""; // name of the sign-in service

  override connectedCallback(): void {
    super.connectedCallback();
    this.error = broughtBack();
    void client.provider().then(
      (name) => {
        this.provider = name;
        this.requestUpdate();
      },
      () => undefined, // the server does not answer: that is told when somebody signs in
    );
  }

  protected override render(): TemplateResult {
    const t = settings.t;
    const title = this.again ? html`<div><h2 id="again-title">${t("login.ended")}</h2><p>${t("login.endedText")}</p></div>` : html`<div class="title">${logo()}<h1>${t("app.name")}</h1></div>`;
    const form = html`<form @submit=${this.submit}>
        ${title}
        ${this.due === "" ? this.credentials() : this.change()}
        <div class="error" role="alert">${this.error === "" ? nothing : this.error}</div>
        ${this.away ? client.link.others().map((url) => html`<a href=${url}>${t("login.elsewhere", { url })}</a>`) : nothing}
        <ix-button id="sign-in" type="submit" ?disabled=${this.busy} @click=${this.press}>${t(this.due === "" ? "login.submit" : "login.change")}</ix-button>
        ${this.provider === "" || this.due !== "" ? nothing : this.service()}
        ${this.again ? html`<button id="sign-in-leave" type="button" class="btn" @click=${() => client.leave()}>${t("login.leave")}</button>` : html`<div class="choice head-choices">${languageChoice()}${themeButton()}</div>`}
      </form>`;
    if (!this.again) return html`<main class="signin">${form}</main>`;
    return html`<dialog class="sheet signin again" aria-labelledby="again-title" @cancel=${(e: Event) => e.preventDefault()} @close=${this.stay}>${form}</dialog>`;
  }

  // The sheet is put over whatever else is open, and stays: behind it nothing is known and nothing can be done.
  protected override firstUpdated(): void {
    this.stay();
  }

  private stay = (): void => {
    if (this.again && this.isConnected) this.querySelector("dialog")?.showModal();
  };

  private credentials(): TemplateResult {
    const t = settings.t;
    return html`<label class="field"><span>${t("login.user")}</span><input class="in" name="user" autocomplete="username" required ?autofocus=${!this.again} .value=${this.again ? (client.session?.user ?? "") : ""} /></label>
        <label class="field"><span>${t("login.password")}</span><input class="in" name="password" type="password" autocomplete="current-password" required ?autofocus=${this.again} /></label>`;
  }

  private service(): TemplateResult {
    return html`<a id="sign-in-provider" class="btn" href=${start}>${settings.t("login.provider", { name: this.provider })}</a>`;
  }

  private change(): TemplateResult {
    const t = settings.t;
    return html`<p>${t("login.due")}</p>
        <label class="field"><span>${t("login.fresh")}</span><input class="in" name="fresh" type="password" autocomplete="new-password" minlength="8" maxlength="256" required autofocus /></label>
        <label class="field"><span>${t("login.again")}</span><input class="in" name="again" type="password" autocomplete="new-password" required /></label>`;
  }

  private press = (e: Event): void => {
    e.preventDefault();
    this.querySelector("form")?.requestSubmit();
  };

  private submit = async (e: SubmitEvent): Promise<void> => {
    e.preventDefault();
    if (this.busy) return;
    const data = new FormData(e.target as HTMLFormElement);
    this.busy = true;
    this.error = "";
    this.requestUpdate();
    const before = client.session?.user;
    try {
      if (this.due === "") {
        const password = String(data.get("password"));
        if (!(await client.signIn(String(data.get("user")), password))) this.due = password;
      } else if (data.get("fresh") !== data.get("again")) {
        this.error = settings.t("login.differ");
      } else {
        await client.changePassword(this.due, String(data.get("fresh")));
        this.due = "";
      }
      // What one person has begun is not for the next to confirm.
      if (before !== undefined && client.session?.user !== before) document.querySelectorAll("dialog.sheet:not(.again)").forEach((d) => (d as HTMLDialogElement).close());
    } catch (err) {
      this.error = reason(err);
      this.away = err instanceof Failure && err.status === 0;
    } finally {
      this.busy = false;
      this.requestUpdate();
    }
  };
}

/** start is where a sign-in with the service begins: a page of this server, which sends the browser on. */
const start = "/api/v1/session/oidc/start";

/** broughtBack is why the sign-in service brought the user back here, told once. */
function broughtBack(): string {
  const why = new URLSearchParams(location.search).get("login");
  if (why === null) return "";
  history.replaceState(null, "", location.pathname + location.hash);
  const key = reasons.find((r) => r === `login.${why}`);
  return key === undefined ? "" : settings.t(key);
}

const reasons = [
  "login.oidc_expired", "login.oidc_denied", "login.oidc_invalid", "login.oidc_no_role",
  "login.oidc_unavailable", "login.oidc_too_many", "login.oidc_elsewhere",
] as const;

function reason(err: unknown): string {
  const t = settings.t;
  if (!(err instanceof Failure)) return String(err);
  switch (err.status) {
    case 0:
      return t("login.unreachable");
    case 401:
      return t("login.refused");
    case 429:
      return t("login.tooMany");
    default:
      return failureText(err);
  }
}

customElements.define("scada-sign-in", SignIn);
