// Comma-separated values after RFC 4180, safe to open in a spreadsheet. Pure.

/** csv joins rows; the first one is the header. Lines end in CR LF. */
export function csv(rows: readonly (readonly (string | number)[])[]): string {
  return rows.map((row) => row.map(field).join(",") + "\r\n").join("");
}

// A text that begins like a formula is prefixed with an apostrophe: spreadsheets would run it.
function field(value: string | number): string {
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : "";
  const safe = /^[=+\-@\t\r]/.test(value) ? "'" + value : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
