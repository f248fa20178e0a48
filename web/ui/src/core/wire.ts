// The control messages of scada.v1 that the dashboard speaks, after web/PROTOCOL.md.

import type { Alarm, AlarmChange, Device, JournalEntry, Pair, Role, WriteResult } from "./types";

export const subprotocol = "scada.v1";

/** AreaRole is what a server says it is in an area. */
export interface AreaRole {
  role: Role;
  epoch: number;
  confirmed: boolean;
}

export interface Welcome {
  t: "welcome";
  server: string;
  instance: string;
  epoch: number;
  seq: number;
  hb_ms: number;
  time: string;
  user: string;
  role: string;
  permissions: string[] | null;
  roles: Record<string, AreaRole>;
  peers: string[] | null;
  recovered: boolean;
  plant: string;
  qualities: Record<string, string>;
}

export interface Heartbeat {
  t: "hb";
  time: string;
  seq: number;
  epoch: number;
  roles: Record<string, AreaRole>;
  lag_ms: number;
  ready: boolean;
}

export type Incoming =
  | Welcome
  | Heartbeat
  | { t: "subd"; id: number; plant?: string; handles?: [number, string, string, string][] | null; unknown?: string[] | null }
  | { t: "plant"; plant: string; instance: string }
  | { t: "text"; id: number; frame: number; values: [number, string][] }
  | { t: "alarms"; id: number; reset?: boolean; more?: boolean; seq: number; alarms?: Alarm[] | null; changes?: ({ seq: number } & AlarmChange)[] | null }
  | { t: "journal"; id: number; reset?: boolean; seq: number; entries?: JournalEntry[] | null }
  | { t: "role"; id: number; role: Pair }
  | { t: "devices"; id: number; devices: Device[] | null }
  | { t: "accepted"; id: string }
  | { t: "done"; id: string; result: WriteResult }
  | { t: "refused"; id: string; code: string; detail?: string }
  | { t: "error"; id?: number; code: string; detail?: string };

/** Resume names the server the client was linked to before, so that only changes need to be sent. */
export interface Resume {
  instance: string;
  epoch: number;
}

export type Outgoing =
  | { t: "hello"; ticket?: string; token?: string; lang: string; resume?: Resume }
  | { t: "sub"; id: number; glob?: string; tags?: string[]; topic?: string; min_ms?: number; after?: number }
  | { t: "unsub"; id: number }
  | { t: "ack"; frame: number }
  | {
      t: "write";
      id: string;
      tag: string;
      value: number | boolean | string;
      epoch: number;
      expect_role: Role;
      deadline: string;
      nonce: string;
      reason?: string;
    };

/** The close codes that mean more than "try again". */
export const closeSignedOut = 4401;
export const closeForbidden = 4403;
