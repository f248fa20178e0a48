// The rows in sight of a long table: the others do not exist, so that a scroll over thousands costs what one over a hundred does.

import { html, type TemplateResult } from "lit";

/** rowHeight is how high a row of such a table is in pixels; its style sees to it. */
export const rowHeight = 30;

const spare = 8; // rows drawn beyond both edges

/** Rows remembers where its table is scrolled to. */
export class Rows {
  private top = 0;
  private height = 800;

  /** visible is the first row to draw and the one after the last. */
  visible(count: number): { first: number; last: number } {
    const last = Math.min(count, Math.ceil((this.top + this.height) / rowHeight) + spare);
    return { first: Math.min(last, Math.max(0, Math.floor(this.top / rowHeight) - spare)), last };
  }

  /** look takes over the position and height of the box the table scrolls in; it tells whether other rows may be in sight. */
  look(box: HTMLElement | null): boolean {
    if (!box || (box.scrollTop === this.top && box.clientHeight === this.height)) return false;
    this.top = box.scrollTop;
    this.height = box.clientHeight;
    return true;
  }
}

/** gap stands for rows that are not drawn. */
export function gap(rows: number): TemplateResult {
  return html`<tr aria-hidden="true" class="gap"><td height=${rows * rowHeight}></td></tr>`;
}
