import { at } from "../../graph-builder/at.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { pixelsOf } from "../../runtime/data/types.ts";
import type { Drawing } from "../assets.ts";
import type { Examples, ModelInfo } from "../calls/model.ts";
import { assets } from "./assets.ts";
import { ownForm, readPicture } from "./pictures.ts";
import type { WorkerClient } from "./worker-client.ts";

const PIXELS = pixelsOf(ownForm.size);

/**
 * Pictures of a model's data set: `count` test pictures after the first `from`, or all drawings. The worker
 * draws `shapes`. The pictures of another data set are a file beside the page, if the page was built with a
 * model of that data set; else the result is undefined. Throws UserError where the file cannot be loaded.
 */
export async function testPictures(
  worker: WorkerClient,
  { data, classNames }: Pick<ModelInfo, "data" | "classNames">,
  count: number,
  from: number,
): Promise<Examples | undefined> {
  if (data === "shapes") return worker.call("drawExamples", count, from);
  const kept = assets.model?.examples;
  if (!kept || kept.data !== data) return undefined;
  const response = await fetch(kept.path).catch(() => undefined);
  if (!response?.ok)
    throw new UserError(`The pictures could not be loaded from ${kept.path}.`, { code: "download-failed" });
  if (kept.kind === "drawings") return drawn(await response.json(), classNames);
  return recordsIn(new Uint8Array(await response.arrayBuffer()), count, from);
}

/** Whether the pictures of a data set are drawings, of which there are no others to show. */
export function areDrawings(data: string | undefined): boolean {
  const kept = assets.model?.examples;
  return kept?.data === data && kept?.kind === "drawings";
}

async function drawn(drawings: readonly Drawing[], classNames: readonly string[]): Promise<Examples> {
  const known = drawings.filter(({ className }) => classNames.includes(className));
  const images = new Uint8Array(known.length * PIXELS);
  for (const [i, { className, svg }] of known.entries()) {
    const picture = await readPicture(new Blob([svg], { type: "image/svg+xml" }), className);
    images.set(picture.pixelsIn(ownForm), i * PIXELS);
  }
  return { images, labels: Uint8Array.from(known, ({ className }) => classNames.indexOf(className)) };
}

/** Reads records of CIFAR-10's binary format. After the last record it continues with the first. */
function recordsIn(bytes: Uint8Array, count: number, from: number): Examples {
  const records = Math.floor(bytes.length / (PIXELS + 1));
  const images = new Uint8Array(count * PIXELS);
  const labels = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const start = ((from + i) % records) * (PIXELS + 1);
    labels[i] = at(bytes, start);
    images.set(bytes.subarray(start + 1, start + 1 + PIXELS), i * PIXELS);
  }
  return { images, labels };
}
