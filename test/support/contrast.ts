import type { Page } from "playwright-core";

/**
 * The contrasts (WCAG 2) of the numbers of a confusion matrix with their cells, for each class of cells and
 * for shares of the row from 0 to 1. `body` selects the body of the table.
 */
export function cellContrasts(page: Page, body: string, classes: readonly string[]): Promise<number[]> {
  return page.evaluate(
    ([body, classes]) => {
      const linear = (value: number) =>
        value <= 10 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
      const luminance = (colour: string) => {
        const context = new OffscreenCanvas(1, 1).getContext("2d");
        if (!context) return Number.NaN;
        context.fillStyle = colour;
        context.fillRect(0, 0, 1, 1);
        const [red = 0, green = 0, blue = 0] = Array.from(context.getImageData(0, 0, 1, 1).data, linear);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
      };
      const row = document.querySelector<HTMLTableSectionElement>(body)?.insertRow();
      if (!row) throw new Error(`the page has no ${body}`);
      const found = classes.flatMap((name) =>
        [0, 0.25, 0.5, 0.75, 1].map((share) => {
          const cell = row.insertCell();
          cell.className = name;
          cell.style.setProperty("--share", String(share));
          const { color, backgroundColor } = getComputedStyle(cell);
          const [a, b] = [luminance(color), luminance(backgroundColor)];
          return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        }),
      );
      row.remove();
      return found;
    },
    [body, classes] as const,
  );
}
