import { at } from "../../graph-builder/at.ts";
import { className } from "./bars.ts";
import { make } from "./dom.ts";

/** How often each class (row) was taken for each class (column), [classes, classes]. */
export function confusionCounts(
  labels: Uint8Array,
  predictions: Uint8Array,
  classes: number,
): readonly (readonly number[])[] {
  const counts = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (const [i, label] of labels.entries()) {
    const row = counts[label];
    const predicted = predictions[i];
    if (row && predicted !== undefined) row[predicted] = (row[predicted] ?? 0) + 1;
  }
  return counts;
}

/** Fills a table with a confusion matrix. A cell is as dark as its share of the row. */
export function showConfusion(
  table: HTMLTableElement,
  counts: readonly (readonly number[])[],
  classNames: readonly string[],
): void {
  const columns = classNames.map((_, i) => heading("col", className(classNames, i)));
  const head = make("tr", "", make("td"), ...columns);
  const rows = counts.map((row, i) => {
    const total = row.reduce((sum, count) => sum + count, 0);
    const cells = row.map((count, j) => {
      const cell = make("td", i === j ? "hit" : "miss", count === 0 ? "" : String(count));
      cell.style.setProperty("--share", String(total === 0 ? 0 : count / total));
      cell.title = `${className(classNames, i)}, recognised as ${className(classNames, j)}: ${count} of ${total}`;
      return cell;
    });
    return make("tr", "", heading("row", className(classNames, i)), ...cells);
  });
  table.tHead?.replaceChildren(head);
  at([...table.tBodies], 0).replaceChildren(...rows);
}

function heading(scope: "row" | "col", text: string): HTMLElement {
  const cell = make("th", "", make("span", "", text));
  cell.scope = scope;
  return cell;
}
