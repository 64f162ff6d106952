import { readFileSync } from "node:fs";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { sparkline } from "../../../cli/commands/runs/describe.ts";
import { csvLine } from "../../../cli/csv.ts";
import { differingSettings } from "../../../cli/models/run-summary.ts";
import { lineColours } from "../../../cli/report/colours.ts";
import { wilsonInterval } from "../../../cli/report/numbers.ts";
import { encodePng } from "../../../cli/report/png.ts";
import { predictionsCsv } from "../../../cli/report/predictions-csv.ts";
import { roundAxis, wholeAxis } from "../../../cli/report/ticks.ts";
import { EvaluationSums } from "../../../runtime/index.ts";

test.each([1, 3, 4])("a PNG of %s channels has the pixels of its planes", async (channels) => {
  const planes = Uint8Array.from({ length: channels * 6 }, (_, i) => (i * 37) % 256);
  const png = encodePng(planes, { channels, height: 2, width: 3 });
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  expect(info).toMatchObject({ width: 3, height: 2 });
  const pixel = (place: number) => Array.from({ length: channels }, (_, c) => planes[c * 6 + place]);
  for (let place = 0; place < 6; place++) {
    const found = [...data.subarray(place * info.channels, (place + 1) * info.channels)];
    expect(found.slice(0, channels)).toEqual(pixel(place));
  }
});

test.each([
  [81, 263, 0.2553, 0.3662],
  [15, 148, 0.0624, 0.1605],
  [0, 20, 0, 0.1611],
  [1, 29, 0.0061, 0.1718],
  [20, 20, 0.8389, 1],
])("Wilson's interval of %s of %s is that of Newcombe 1998, table I, method 3", (right, of, low, high) => {
  const found = wilsonInterval(right, of);
  expect(found[0]).toBeCloseTo(low, 4);
  expect(found[1]).toBeCloseTo(high, 4);
});

describe("an axis", () => {
  test("of round numbers covers the values", () => {
    expect(roundAxis([0.13, 2.31], 5)).toEqual({ from: 0, to: 2.5, ticks: [0, 0.5, 1, 1.5, 2, 2.5] });
    expect(roundAxis([7, 7], 5).ticks.length).toBeGreaterThan(1);
    expect(roundAxis([], 5)).toMatchObject({ from: 0, to: 1 });
  });

  test("of epochs has whole numbers alone", () => {
    expect(wholeAxis([1, 3], 6)).toEqual({ from: 1, to: 3, ticks: [1, 2, 3] });
    expect(wholeAxis([1, 1800], 6).ticks).toEqual([500, 1000, 1500]);
    expect(wholeAxis([4], 6)).toEqual({ from: 4, to: 4, ticks: [4] });
  });
});

describe("a file of predictions", () => {
  const logits = Float32Array.of(0, Math.log(3), 2, 1);
  const evaluation = new EvaluationSums({ classNames: [] }).result();
  const csv = (paths?: readonly string[]) =>
    new TextDecoder()
      .decode(
        predictionsCsv({ logits, classes: 2, evaluation }, { labels: Uint8Array.of(1, 1), paths, count: 2 }, [
          "=1+1",
          'a "b", c',
        ]),
      )
      .split("\r\n");

  test("quotes what needs it and disarms formulas, and has the index where there is no path", () => {
    const [head, first = "", second = ""] = csv();
    expect(head).toBe('index,label,predicted,loss,probability of =1+1,"probability of a ""b"", c"');
    expect(first).toMatch(/^0,"a ""b"", c","a ""b"", c",0\.2876\d+,0\.2\d+,0\.7\d+$/);
    expect(second).toMatch(/^1,"a ""b"", c",'=1\+1,/);
    expect(csv(["-x.png", "y.png"])[1]).toMatch(/^'-x\.png,/);
  });

  test("has every digit of a probability", () => {
    const [, , second = ""] = csv();
    const [p = 0, q = 0] = second.split(",").slice(-2).map(Number);
    expect(p).toBe(1 / (1 + Math.exp(-1)));
    expect(p + q).toBeCloseTo(1, 15);
  });
});

test("numbers in a CSV are left as they are, negative ones too", () => {
  expect(csvLine([-1.5, "-1.5", "plain"])).toBe("-1.5,'-1.5,plain\r\n");
});

test("a curve of blocks ends where its run does, and has a gap where a value is no number", () => {
  expect(sparkline([0, Number.NaN, 100], [0, 100], 6)).toBe("▁ █");
  expect(sparkline([5], [5, 5], 1)).toBe("█");
  expect(
    sparkline(
      Array.from({ length: 96 }, (_, i) => i),
      [0, 95],
      96,
    ),
  ).toHaveLength(48);
});

test("settings that are alike in all runs are left out of a comparison", () => {
  const runs = [{ settings: { a: 1, b: [1, 2] } }, { settings: { a: 1, b: [1, 3], c: "x" } }];
  expect(differingSettings(runs)).toEqual([
    {
      name: "b",
      values: [
        [1, 2],
        [1, 3],
      ],
    },
    { name: "c", values: [undefined, "x"] },
  ]);
});

test("training and what is measured have the same colours in the page and in reports", () => {
  const css = readFileSync(new URL("../../../web/style.css", import.meta.url), "utf8");
  const colours = (name: string) =>
    [...css.matchAll(new RegExp(`--${name}: (#\\w+);`, "g"))].map(([, c]) => c);
  const { light, dark } = lineColours;
  expect(colours("training")).toEqual([light.training, dark.training]);
  expect(colours("test")).toEqual([light.measured, dark.measured]);
});
