// The binary data frame of scada.v1: a header of 40 bytes, then columns. Reading makes views, no copies. Pure.

export const kindSnapshot = 1;
export const kindDelta = 2;

/** noAge stands in the age column for "no value yet". */
export const noAge = 2147483647;

/** mostValues is how many values one frame may hold. */
export const mostValues = 16384;

const headerBytes = 40;

/** Frame is one data frame; the columns are views of the message and live as long as it. */
export interface Frame {
  kind: number;
  more: boolean;
  sub: number;
  seq: number;
  serverMs: number;
  epoch: number;
  frame: number;
  values: Float64Array;
  ages: Int32Array;
  handles: Uint32Array;
  qualities: Uint8Array;
}

const pad8 = (n: number): number => (n + 7) & ~7;

/** decodeFrame reads a frame; null when the bytes are not one. */
export function decodeFrame(buf: ArrayBuffer): Frame | null {
  if (buf.byteLength < headerBytes) return null;
  const view = new DataView(buf);
  const kind = view.getUint8(0);
  const n = view.getUint32(4, true);
  if ((kind !== kindSnapshot && kind !== kindDelta) || n > mostValues) return null;
  const ages = headerBytes + 8 * n;
  const handles = pad8(ages + 4 * n);
  const qualities = pad8(handles + 4 * n);
  if (buf.byteLength !== qualities + n) return null;
  return {
    kind,
    more: (view.getUint8(1) & 1) !== 0,
    sub: view.getUint16(2, true),
    seq: Number(view.getBigUint64(8, true)),
    serverMs: Number(view.getBigInt64(16, true)) / 1000,
    epoch: Number(view.getBigUint64(24, true)),
    frame: view.getUint32(32, true),
    values: new Float64Array(buf, headerBytes, n),
    ages: new Int32Array(buf, ages, n),
    handles: new Uint32Array(buf, handles, n),
    qualities: new Uint8Array(buf, qualities, n),
  };
}
