import { expect, test } from "vitest";
import { feedingMetadata, type PictureFeeding, pictureInput, pictureTensor } from "../../../runtime/index.ts";
import { openDevice } from "../../../runtime/node/index.ts";

const device = await openDevice("cpu", { threads: 1 });
// two pictures of 3 channels, 1 high and 2 wide
const images = Uint8Array.from([0, 51, 102, 153, 204, 255, 255, 204, 153, 102, 51, 0]);

function fed(shape: readonly (number | string)[], feeding: PictureFeeding, batch = 2) {
  const input = pictureInput({ name: "x", type: "float32", shape }, feeding, "m.onnx");
  const { data, dims } = pictureTensor(input, images, batch, device);
  return { data: [...Object.values(data)].map((value) => Number(Number(value).toFixed(5))), dims };
}

test("pixels are fed raw, from 0 to 1, or around a mean, in the layout of the model", () => {
  expect(fed(["n", 3, 1, 2], {})).toEqual({ data: [...images], dims: [2, 3, 1, 2] });
  expect(fed(["n", 1, 2, 3], { pixels: "unit" })).toEqual({
    data: [0, 0.4, 0.8, 0.2, 0.6, 1, 1, 0.6, 0.2, 0.8, 0.4, 0],
    dims: [2, 1, 2, 3],
  });
  expect(fed(["n", 3, 1, 2], { pixels: "0,0.4,0.5/1,0.2,0.5" }, 3).data).toEqual([
    ...[0, 0.2, 0, 1, 0.6, 1, 1, 0.8, 1, 0, -0.6, -1],
    ...[0, 0, 0, 0, 0, 0],
  ]);
  // (0 - 0.485) / 0.229
  expect(fed(["n", 3, 1, 2], { pixels: "imagenet" }).data[0]).toBe(-2.1179);
});

test("a model of any size is fed the size that is given", () => {
  const size = { height: 1, width: 2 };
  expect(fed(["n", 3, "h", "w"], { size }).dims).toEqual([2, 3, 1, 2]);
  expect(() => fed(["n", 3, "h", "w"], {})).toThrow("m.onnx takes pictures of any size");
});

test.each(["bright", "0.5", "1/0", "1,2/1,2", "a/b"])("pixels fed %s are refused in a sentence", (pixels) => {
  expect(() => fed(["n", 3, 1, 2], { pixels })).toThrow(/^Pixels (are fed raw|fed 1,2\/1,2 have)/);
});

test("a scale for another number of channels is refused with both numbers", () => {
  expect(() => fed(["n", 3, 1, 2], { pixels: "0.5,0.4/1" })).toThrow(
    "Pixels fed 0.5,0.4/1 have numbers for 2 channels, and the model takes 3.",
  );
});

test("bytes are raw pixels", () => {
  const input = { name: "x", type: "uint8", shape: ["n", 3, 1, 2] };
  expect(() => pictureInput(input, { pixels: "unit" }, "m.onnx")).toThrow(
    "m.onnx takes x as bytes, which are raw pixels, not unit.",
  );
});

test.each([
  [1, "Gray8"],
  [3, "Rgb8"],
  [4, "Rgba8"],
])("metadata of %d channels name the pixels %s", (channels, format) => {
  const declared = { name: "x", type: "float32", shape: ["batch", channels, 8, 8] };
  const metadata = feedingMetadata(pictureInput(declared, {}, "The model"), "y");
  expect(metadata["Image.BitmapPixelFormat"]).toBe(format);
});
