// Which tags the overview shows.

import { client } from "./context";

/** wanted are the key figures of the waterworks; another plant has others, see keyFigures. */
const wanted = [
  "intake/header/flow",
  "intake/river/turbidity",
  "intake/raw_tank_level/value",
  "treatment/ph",
  "treatment/chlorine/value",
  "treatment/clear_tank/level",
  "treatment/clear_tank/turbidity",
  "network/flow",
  "network/pressure/value",
  "network/reservoir/level",
  "intake/supply/power",
  "mixer/speed",
];

const most = 12;
let shape = -1;
let chosen: number[] = [];

/** keyFigures returns the tags to show: those wanted that exist, else the first measured values that have a range. */
export function keyFigures(): number[] {
  const store = client.store;
  if (shape === store.shape) return chosen;
  shape = store.shape;
  chosen = wanted.map((name) => store.find(name)).filter((i) => i >= 0 && store.defs[i] !== undefined);
  if (chosen.length === 0) {
    chosen = [...store.defs.keys()].filter((i) => store.defs[i]?.low !== undefined && !store.defs[i]?.writable).slice(0, most);
  }
  return chosen;
}
