// Writes under way: each is sent once, with a deadline and a number used once, and ends in exactly one outcome. A write whose
// answer is lost with the link ends as unknown; nothing is kept to be sent later. Pure but for the number used once.

import type { WriteResult } from "./types";

/** deadlineMs is how long after the click a value may still go to the device. */
export const deadlineMs = 5000;

export type WriteOutcome =
  | { kind: "done"; result: WriteResult }
  | { kind: "refused"; code: string; detail: string }
  | { kind: "unknown" };

export class Writes {
  private readonly open = new Map<string, (o: WriteOutcome) => void>();
  private count = 0;

  /** begin registers a write; serverNow is the server's clock in Unix milliseconds. */
  begin(serverNow: number): { id: string; nonce: string; deadline: number; promise: Promise<WriteOutcome> } {
    const id = `w${++this.count}`;
    const promise = new Promise<WriteOutcome>((resolve) => this.open.set(id, resolve));
    return { id, nonce: nonce(), deadline: serverNow + deadlineMs, promise };
  }

  done(id: string, result: WriteResult): void {
    this.end(id, { kind: "done", result });
  }

  refused(id: string, code: string, detail: string): void {
    this.end(id, { kind: "refused", code, detail });
  }

  /** lost: the link is gone; whether the value reached the device is not known. */
  lost(): void {
    for (const id of [...this.open.keys()]) this.end(id, { kind: "unknown" });
  }

  private end(id: string, outcome: WriteOutcome): void {
    const resolve = this.open.get(id);
    this.open.delete(id);
    resolve?.(outcome);
  }
}

function nonce(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}
