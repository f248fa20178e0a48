// Fills the elements of a drawing that name a tag.

import { isOverlaid, isUnacked } from "../core/alarms";
import type { Alarm } from "../core/types";
import { doubt, valueText } from "./bits";
import { client } from "./context";
import { local } from "./say";

interface Bound {
  element: SVGElement;
  index: number;
  show: string;
  height: number;
  /** y and full are where a bar drawn as a plain rectangle stands and how high it is when full. */
  y: number;
  full: number;
}

const svgns = "http://www.w3.org/2000/svg";

/** Binding keeps a drawing up to date. */
export class Binding {
  private bound: Bound[] = [];
  private marks: { element: SVGElement; prefix: string }[] = [];
  private marked = -1; // version of the alarms that are marked

  constructor(root: Element) {
    for (const element of root.querySelectorAll<SVGElement>("[data-tag]")) {
      const index = client.store.find(element.dataset["tag"] ?? "");
      this.bound.push({ element, index, show: element.dataset["show"] ?? "text", height: Number(element.dataset["height"] ?? 0), ...bar(element) });
      const def = client.store.defs[index];
      element.setAttribute("aria-label", def ? `${def.name} ${local(def.description)}` : (element.dataset["tag"] ?? ""));
    }
    for (const element of root.querySelectorAll<SVGElement>("[data-alarms]")) this.marks.push({ element, prefix: element.dataset["alarms"] ?? "" });
  }

  /** values shows the present values. */
  values(): void {
    for (const b of this.bound) this.one(b);
  }

  /** alarms marks the most urgent open alarm of each prefix. */
  alarms(): void {
    if (this.marked === client.alarms.version) return; // values change twenty times a second, alarms hardly ever
    this.marked = client.alarms.version;
    const open = client.alarms.list().filter((a) => !isOverlaid(a));
    for (const m of this.marks) {
      const worst = open.filter((a) => a.tag.startsWith(m.prefix)).reduce<Alarm | undefined>((w, a) => (w && w.priority <= a.priority ? w : a), undefined);
      mark(m.element, worst);
    }
  }

  private one(b: Bound): void {
    const d = b.index < 0 ? "bad" : doubt(b.index);
    b.element.classList.toggle("doubt", d !== "");
    b.element.classList.toggle("bad", d === "bad");
    const value = b.index < 0 ? NaN : (client.store.values[b.index] ?? NaN);
    switch (b.show) {
      case "text":
        text(b.element, `${b.index < 0 ? "—" : valueText(b.index)}${d === "" ? "" : " ?"} ${client.store.unit(b.index)}`);
        return;
      case "run":
        b.element.classList.toggle("on", value > 0);
        return;
      case "open":
        b.element.classList.toggle("on", value > 2); // a closed valve reads a little above zero
        return;
      case "level": {
        if (b.element.localName === "rect") {
          const full = b.full * share(b.index, value);
          b.element.setAttribute("height", full.toFixed(2));
          b.element.setAttribute("y", (b.y + b.full - full).toFixed(2));
          return;
        }
        const fill = b.element.querySelector<SVGRectElement>(".fill");
        const height = (b.height * Math.min(100, Math.max(0, Number.isNaN(value) ? 0 : value))) / 100;
        fill?.setAttribute("height", height.toFixed(1));
        fill?.setAttribute("y", (b.height + 2 - height).toFixed(1));
        text(b.element, `${b.index < 0 ? "—" : valueText(b.index)}${d === "" ? "" : " ?"} ${client.store.unit(b.index)}`);
        return;
      }
    }
  }
}

// bar remembers how a rectangle was drawn: as its tag is at the top of its range.
function bar(element: SVGElement): { y: number; full: number } {
  const kept = element.dataset["bar"];
  if (element.localName === "rect" && kept === undefined) element.dataset["bar"] = `${element.getAttribute("y") ?? 0} ${element.getAttribute("height") ?? 0}`;
  const [y, full] = (element.dataset["bar"] ?? "0 0").split(" ").map(Number);
  return { y: y || 0, full: full || 0 };
}

// share is where a value lies in its tag's range, from 0 to 1; without a range it counts as per cent.
function share(index: number, value: number): number {
  const def = client.store.defs[index];
  const low = def?.low ?? 0;
  const high = def?.high ?? 100;
  return Number.isNaN(value) || !(high > low) ? 0 : Math.min(1, Math.max(0, (value - low) / (high - low)));
}

function text(element: SVGElement, s: string): void {
  const node = element.localName === "text" ? (element.querySelector("tspan") ?? element) : element.querySelector("text");
  if (node && node.textContent !== s) node.textContent = s;
}

const shapes = ["", "M2 2h16v16H2z", "M10 1.5 19 18H1Z", "M10 1.5a8.5 8.5 0 1 0 .01 0Z", "M8 4h4a6 6 0 0 1 0 12H8A6 6 0 0 1 8 4Z"];

function mark(element: SVGElement, a: Alarm | undefined): void {
  const key = a ? `${a.id}/${a.state}` : "";
  if (element.dataset["shown"] === key) return;
  element.dataset["shown"] = key;
  element.replaceChildren();
  if (!a) return;
  const p = Math.min(4, Math.max(1, a.priority));
  element.setAttribute("class", `prio p${p} ${isUnacked(a) ? "blink" : "calm"}`);
  const shape = document.createElementNS(svgns, "path");
  shape.setAttribute("class", "s");
  shape.setAttribute("d", shapes[p]!);
  const number = document.createElementNS(svgns, "text");
  number.setAttribute("x", "10");
  number.setAttribute("y", p === 2 ? "16" : "14");
  number.textContent = String(p);
  element.append(shape, number);
}
