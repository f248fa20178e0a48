// The filter over tags and alarms: words that must all occur, in any order, in any of the fields. A word with * is a glob
// over the name. Pure.

/** matcher returns the test for a filter text. An empty filter lets everything pass. */
export function matcher(text: string): (name: string, ...fields: string[]) => boolean {
  const words = text.toLowerCase().split(/\s+/).filter((w) => w !== "");
  const tests = words.map(wordTest);
  return (name, ...fields) => {
    const lower = name.toLowerCase();
    const rest = fields.map((f) => f.toLowerCase());
    return tests.every((test) => test(lower, rest));
  };
}

function wordTest(word: string): (name: string, fields: string[]) => boolean {
  if (!word.includes("*")) {
    return (name, fields) => name.includes(word) || fields.some((f) => f.includes(word));
  }
  const escaped = word.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  const glob = new RegExp(`^${escaped.join(".*")}$`);
  return (name) => glob.test(name);
}
