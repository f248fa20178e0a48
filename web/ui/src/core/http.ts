// HTTP to whichever server the page is linked to. At home a cookie signs the user in. The other server is another origin and gets
// no cookie: there (and at a restarted home that has forgotten the session) the ticket is exchanged once for a bearer token.
// Ticket and tokens live in memory only.

import type { Problem, Session } from "./types";

const base = "/api/v1";

/** requestMs is how long a request may take. */
export const requestMs = 10000;

/** Failure is a refused or failed request. status 0 means no answer. */
export class Failure extends Error {
  constructor(readonly status: number, readonly code: string, readonly detail: string) {
    super(detail || code);
  }
}

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export class Http {
  /** ticket is the proof of the session for the pair, renewed by the client. */
  ticket = "";
  private readonly tokens = new Map<string, string>();

  constructor(private readonly home: string, private readonly fetcher: Fetch) {}

  /** forget drops every proof: the user signed out. */
  forget(): void {
    this.ticket = "";
    this.tokens.clear();
  }

  /** forgetTokens drops the sessions at other servers: they end with a changed password. The ticket stays. */
  forgetTokens(): void {
    this.tokens.clear();
  }

  /** token is the bearer token for a server, if one was obtained. */
  token(origin: string): string | undefined {
    return this.tokens.get(origin);
  }

  /** call sends a request to a server and returns the decoded answer. */
  async call<T>(origin: string, method: string, path: string, body?: unknown, limitMs = requestMs): Promise<T> {
    const answer = await this.answer(origin, method, path, body, limitMs);
    return (answer.status === 204 ? undefined : await answer.json()) as T;
  }

  /** text fetches something that is not JSON. */
  async text(origin: string, path: string): Promise<string> {
    return (await this.answer(origin, "GET", path, undefined, requestMs)).text();
  }

  private async answer(origin: string, method: string, path: string, body: unknown, limitMs: number): Promise<Response> {
    let answer = await this.send(origin, method, path, body, true, limitMs);
    // 401 says that nothing was done, so sending again after the exchange repeats nothing; but a wrong password is a wrong password.
    if (answer.status === 401 && this.ticket !== "" && !path.startsWith("/session") && (await this.exchange(origin))) {
      answer = await this.send(origin, method, path, body, true, limitMs);
    }
    if (!answer.ok) throw await failure(answer);
    return answer;
  }

  private async exchange(origin: string): Promise<boolean> {
    const answer = await this.send(origin, "POST", "/session/exchange", { ticket: this.ticket }, false);
    if (!answer.ok) return false;
    const session = (await answer.json()) as Session;
    if (session.token) this.tokens.set(origin, session.token);
    return session.token !== undefined;
  }

  private async send(origin: string, method: string, path: string, body: unknown, bearer = true, limitMs = requestMs): Promise<Response> {
    const headers: Record<string, string> = {};
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const token = this.tokens.get(origin);
    if (bearer && token !== undefined) headers["Authorization"] = `Bearer ${token}`;
    try {
      return await this.fetcher(origin + base + path, {
        method,
        headers,
        body: body === undefined ? null : JSON.stringify(body),
        credentials: origin === this.home ? "same-origin" : "omit",
        cache: "no-store",
        signal: AbortSignal.timeout(limitMs),
      });
    } catch (e) {
      throw new Failure(0, "unreachable", e instanceof Error ? e.message : String(e));
    }
  }
}

async function failure(answer: Response): Promise<Failure> {
  try {
    const p = (await answer.json()) as Problem;
    return new Failure(answer.status, p.code ?? "internal", p.detail ?? p.title ?? "");
  } catch {
    return new Failure(answer.status, "internal", `${answer.status} ${answer.statusText}`);
  }
}
