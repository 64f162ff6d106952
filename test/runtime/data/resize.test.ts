import { expect, test } from "vitest";
import { resizer } from "../../../runtime/data/resize.ts";

const size = { channels: 1, height: 4, width: 4 };
const image = [0, 48, 170, 115, 134, 227, 143, 133, 197, 84, 45, 80, 189, 121, 127, 207];

test("images are scaled as F.interpolate of PyTorch scales them with antialias=True", () => {
  const scaled = (height: number, width: number) => [
    ...resizer(size, { height, width })(Uint8Array.from(image)),
  ];
  // PyTorch has 162.5 where this has 163
  expect(scaled(3, 3)).toEqual([59, 132, 133, 163, 125, 103, 167, 106, 149]);
  expect(scaled(2, 3)).toEqual([99, 135, 125, 165, 107, 128]);
  expect(scaled(6, 5).slice(0, 10)).toEqual([0, 34, 109, 154, 115, 67, 116, 147, 147, 124]);
  expect(scaled(4, 4)).toEqual(image);
});

test("every channel of every image is scaled by itself", () => {
  const two = { channels: 2, height: 4, width: 4 };
  const other = image.toReversed();
  const images = Uint8Array.from([...image, ...other, ...other, ...image]);
  const scaled = resizer(two, { height: 3, width: 2 })(images);
  const alone = (values: readonly number[]) => [
    ...resizer(size, { height: 3, width: 2 })(Uint8Array.from(values)),
  ];
  expect([...scaled]).toEqual([...alone(image), ...alone(other), ...alone(other), ...alone(image)]);
});

test("an image of one colour keeps it in any size", () => {
  for (const side of [1, 3, 5, 9]) {
    const scaled = resizer(size, { height: side, width: side })(new Uint8Array(16).fill(201));
    expect([...scaled]).toEqual(Array(side * side).fill(201));
  }
});
