// Saliency: which pixels of a picture decide the class that an exported model gives it.
// npm run build && node dist/examples/saliency.js runs/8-2x16d-shapes-s1/model.onnx
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { decodeModel, encodeModel, gradients } from "shakenet/graph-builder";
import { openDevice } from "shakenet/node";
import { type Device, shapesDataset } from "shakenet/runtime";

/** The likeliest class of one picture, and the gradient of its logit, float [1, 3, height, width]. */
export async function saliency(model: Uint8Array, pixels: Uint8Array, { ort, sessionOptions }: Device) {
  // the new model takes the gradient of the logits as an input: 1 for the class that is asked about
  const source = decodeModel(model);
  const backward = gradients(source, ["logits"], ["images"], { gradOutputs: true });
  const images = new ort.Tensor("float32", Float32Array.from(pixels), [1, 3, 32, 32]);

  const forward = await ort.InferenceSession.create(model, sessionOptions);
  const { logits } = await forward.run({ images });
  const scores = Array.from(logits?.data as Float32Array);
  const best = scores.indexOf(Math.max(...scores));

  const session = await ort.InferenceSession.create(encodeModel(backward), sessionOptions);
  const oneHot = Float32Array.from(scores, (_, i) => (i === best ? 1 : 0));
  const logits_grad = new ort.Tensor("float32", oneHot, [1, scores.length]);
  const { images_grad } = await session.run({ images, logits_grad });
  for (const one of [forward, session]) await one.release();
  return { best, gradient: images_grad?.data as Float32Array };
}

/** A map of 32 x 32 characters: the darker, the more the class depends on the pixel. */
function drawMap(gradient: Float32Array): string {
  const area = 32 * 32;
  const colours = (pixel: number) => [0, 1, 2].map((c) => Math.abs(gradient[c * area + pixel] ?? 0));
  const strengths = Array.from({ length: area }, (_, pixel) => Math.max(...colours(pixel)));
  const most = Math.max(...strengths);
  const marks = strengths.map((strength) => " .:-=+*#%@"[Math.floor((9 * strength) / most)]);
  return Array.from({ length: 32 }, (_, row) => marks.slice(32 * row, 32 * row + 32).join("")).join("\n");
}

const [, script, path] = process.argv;
if (script === fileURLToPath(import.meta.url)) {
  const { images, labels, classNames } = shapesDataset("test", 1);
  const device = await openDevice("cpu", { threads: 1 });
  const { best, gradient } = await saliency(await readFile(path ?? "model.onnx"), images, device);
  console.log(`a ${classNames[labels[0] ?? 0]}, taken for a ${classNames[best]} because of`);
  console.log(drawMap(gradient));
}
