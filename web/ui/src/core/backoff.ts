// The pause before the next attempt to connect: doubling, with a limit, and jitter so that a control room full of screens
// does not knock at the surviving server in step. Pure: the random number comes in.

/** firstPauseMs is the pause after the first failed round. */
export const firstPauseMs = 250;

/** longestPauseMs is the limit of the pause. */
export const longestPauseMs = 5000;

/** pause returns the wait before attempt n (from 0), between half and the whole of the doubled step; random is in [0, 1). */
export function pause(n: number, random: number): number {
  const step = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(n, 16));
  return Math.round(step * (0.5 + random / 2));
}
