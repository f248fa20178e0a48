// Numbers, ages and instants as an operator reads them: the same width every time, 24 hours, one decimal point. Pure.

const pad = (n: number, width = 2): string => String(n).padStart(width, "0");

/** clock is the local time of day of an instant in Unix milliseconds: 14:03:07. */
export function clock(ms: number): string {
  const d = new Date(ms);
  return `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
}

/** stamp is the local date and time with milliseconds: 2026-11-22 14:03:07.250. */
export function stamp(ms: number): string {
  if (!Number.isFinite(ms)) return "—";
  const d = new Date(ms);
  return `${day(ms)} ${clock(ms)}.${pad(d.getMilliseconds(), 3)}`;
}

/** brief is the time of day for today's instants and the date with it for others. */
export function brief(ms: number, nowMs: number): string {
  return day(ms) === day(nowMs) ? clock(ms) : `${day(ms)} ${clock(ms)}`;
}

/** zone is the time zone local times are in, as of an instant: UTC+08:00. */
export function zone(ms: number): string {
  const east = -new Date(ms).getTimezoneOffset();
  return `UTC${east < 0 ? "−" : "+"}${pad(Math.floor(Math.abs(east) / 60))}:${pad(Math.abs(east) % 60)}`;
}

/** day is the local date: 2026-11-22. */
export function day(ms: number): string {
  const d = new Date(ms);
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}`;
}

/** age is a span in at most four characters and its unit: 0.4 s, 12 s, 3 min, 5 h, 2 d. The units are SI symbols, equal in every language. */
export function age(ms: number): string {
  if (!Number.isFinite(ms)) return "—";
  const s = Math.max(0, ms) / 1000;
  if (s < 9.95) return `${s.toFixed(1)} s`;
  if (s < 99.5) return `${Math.round(s)} s`;
  if (s < 5970) return `${Math.round(s / 60)} min`;
  if (s < 356400) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} d`;
}

/** duration is a span of operation: 3 d 04:12:09. */
export function duration(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  const time = `${pad(Math.floor(s / 3600) % 24)}:${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}`;
  return s >= 86400 ? `${Math.floor(s / 86400)} d ${time}` : time;
}

/** decimals is how many digits after the point a tag deserves: four significant ones over its range, at most four. */
export function decimals(low: number | undefined, high: number | undefined): number {
  const top = Math.max(Math.abs(low ?? 0), Math.abs(high ?? 0));
  if (!(top > 0)) return 2;
  return Math.min(4, Math.max(0, 3 - Math.floor(Math.log10(top))));
}

/** fixed writes a number with the digits given, without "-0" and without ever showing NaN as a number. */
export function fixed(value: number, digits: number): string {
  if (!Number.isFinite(value)) return "—";
  if (Math.abs(value) >= 1e9) return value.toExponential(3);
  const s = value.toFixed(digits);
  return /^-0\.?0*$/.test(s) ? s.slice(1) : s;
}

/** latency is a time in ms as diagnosed paths need it: 0.31 ms, 42 ms. */
export function latency(ms: number | undefined): string {
  if (ms === undefined || !Number.isFinite(ms)) return "—";
  return ms < 9.95 ? `${ms.toFixed(2)} ms` : `${Math.round(ms)} ms`;
}

/** count writes a whole number with thin spaces between thousands (ISO 80000-1). */
export function count(n: number | undefined): string {
  if (n === undefined || !Number.isFinite(n)) return "—";
  return Math.round(n).toString().replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
}

/** instant reads an RFC 3339 time to Unix milliseconds with its fraction; NaN for none. */
export function instant(text: string | undefined): number {
  if (!text || text.startsWith("0001-")) return NaN;
  return Date.parse(text);
}

/** rounded shortens a number that comes as text to six significant digits; any other text stays. */
export function rounded(text: string): string {
  const n = Number(text);
  return text.trim() !== "" && Number.isFinite(n) && text.length > 7 ? String(Number(n.toPrecision(6))) : text;
}
