// Quality of a value as OPC UA classes it. Pure.

/** Grade is what the screen distinguishes. */
export type Grade = "good" | "uncertain" | "bad";

/** grade reads the class out of the status name: Good…, Uncertain…, anything else is bad. */
export function grade(name: string): Grade {
  if (name.startsWith("Good")) return "good";
  if (name.startsWith("Uncertain")) return "uncertain";
  return "bad";
}
