// The JSON of the server as the dashboard reads it: the same names as the Go package web/api.

export type Role = "active" | "standby" | "starting" | "isolated" | "maintenance";

export interface Area {
  area: string;
  role: Role;
  epoch: number;
  confirmed: boolean;
  since: string;
  reason: string;
}

export interface Path {
  name: string;
  up: boolean;
  rtt_ms: number;
  lost: number;
}

export interface Node {
  node: string;
  designation: string;
  reachable: boolean;
  version: string;
  config_digest: string;
  areas: Area[] | null;
  failover_ready: boolean;
  not_ready: string[] | null;
  score: number;
  paths: Path[] | null;
  mirror: { applied_seq: number; durable_seq: number; lag_ms: number };
  backfill: { remaining: number; verified_at: string | null };
}

export interface Switch {
  area: string;
  from: string;
  to: string;
  at: string;
  kind: "start" | "fault" | "planned" | "hand-back" | "drill" | "health";
  reason: string;
  detect_ms: number;
  activate_ms: number;
  first_value_ms: number;
  missed_slots: number;
  duplicates: number;
}

export interface Pair {
  nodes: Node[];
  last_switch: Switch | null;
}

export interface Sample {
  time: string | null;
  value: number | boolean | string | null;
  quality: string;
}

export interface Tag extends Sample {
  name: string;
  area: string;
  device: string;
  address: string;
  type: string;
  unit?: string;
  description?: string;
  scan_ms: number;
  writable: boolean;
  low?: number;
  high?: number;
  deadband?: number;
  states?: string[];
  history: string;
}

export interface Alarm {
  id: string;
  tag: string;
  area: string;
  type: string;
  state: AlarmState;
  level?: string;
  active: boolean;
  acked: boolean;
  priority: number;
  occurrence: number;
  epoch: number;
  time: string | null;
  onset?: string;
  acked_by?: string;
  acked_at?: string;
  shelved_until?: string;
  value?: number | boolean | string;
  unit?: string;
  quality?: string;
  message?: string;
  comment?: string;
}

export type AlarmState = "NORM" | "UNACK" | "ACKED" | "RTN_UNACK" | "LATCH_UNACK" | "LATCH_ACK" | "SHELVED" | "SUPPRESSED" | "OOS";

export interface AlarmChange {
  event: string;
  ann: boolean;
  by?: string;
  alarm: Alarm;
}

export interface AlarmResult {
  id: string;
  result: string;
  detail?: string;
}

export interface JournalEntry {
  id: string;
  time: string;
  kind: string;
  event: string;
  area?: string;
  source?: string;
  user?: string;
  node?: string;
  epoch?: number;
  state?: string;
  level?: string;
  old?: string;
  new?: string;
  result?: string;
  message?: string;
}

export interface Series {
  tag: string;
  unit?: string;
  samples: Sample[];
}

export interface Device {
  name: string;
  area: string;
  driver: string;
  endpoint: string;
  node: string;
  state: string;
  since: string | null;
  tags: number;
  latency_ms: number;
  requests: number;
  errors: number;
  timeouts: number;
  overruns: number;
  reconnects: number;
  last_error?: string;
  last_error_at?: string;
  detail?: string;
}

export interface Session {
  user: string;
  role: string;
  permissions: string[];
  areas?: Record<string, string>;
  must_change?: boolean;
  external?: boolean;
  expires_at: string;
  node: string;
  token?: string;
}

export interface Provider {
  name: string;
}

export interface SignedOut {
  logout_url: string;
}

export interface User {
  name: string;
  role: string;
  areas?: Record<string, string>;
  locked: boolean;
  must_change: boolean;
  declared: boolean;
  changed_at?: string;
  changed_by?: string;
}

export interface AccessToken {
  name: string;
  role: string;
  areas?: Record<string, string>;
  expires_at?: string;
  declared: boolean;
  changed_at?: string;
  changed_by?: string;
  token?: string;
}

export interface SessionInfo {
  id: string;
  user: string;
  role: string;
  node: string;
  address?: string;
  created_at: string;
  seen_at: string;
  expires_at: string;
  own?: boolean;
}

export interface PeopleResult {
  name: string;
  mirrored: boolean;
}

export interface WriteResult {
  tag: string;
  result: "confirmed" | "unconfirmed" | "unknown";
  value: number | boolean | string | null;
  read_back: number | boolean | string | null;
  quality?: string;
  time: string;
  node: string;
  epoch: number;
  detail?: string;
}

export interface NodeInfo {
  node: string;
  project: string;
  version: string;
  config_digest: string;
  started_at: string;
  time: string;
  tags: number;
  devices: number;
}

export interface Problem {
  title: string;
  status: number;
  code: string;
  detail?: string;
}

export interface AlarmCount {
  id: string;
  count: number;
}

export interface Kpi {
  from: string;
  to: string;
  alarms: number;
  per_10min_average: number;
  per_10min_peak: number;
  flood_count: number;
  flood_percent: number;
  chattering: AlarmCount[] | null;
  fleeting: AlarmCount[] | null;
  stale: AlarmCount[] | null;
  top: AlarmCount[] | null;
  by_priority: Record<string, number> | null;
  unacknowledged: number;
  ack_median_s: number;
  ack_p95_s: number;
  per_10min: { time: string; count: number }[] | null;
  top_percent: number;
  active_now: number;
  shelved_now: number;
  out_of_service_now: number;
  suppressed_now: number;
}
