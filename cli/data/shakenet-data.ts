import { UserError } from "../../graph-builder/errors.ts";
import { datasets, isDatasetName } from "../../runtime/data/dataset.ts";
import type { PictureFacts } from "../../runtime/index.ts";
import { expectImageSize } from "../../shakenet/index.ts";
import type { GivenRun } from "../../shakenet/node/run-config.ts";
import { channelCounts } from "../../shakenet/node/run-data.ts";
import type { Progress } from "../progress.ts";
import {
  type OpenedData,
  openData,
  openNewPictures,
  type PictureChoice,
  refuseOwnSettings,
} from "./open-data.ts";

/** The side of one's own pictures where nothing says another one, in pixels. */
const ownSide = 64;

/** The data of a new run. Of one's own pictures also what a network takes from them, and their number. */
export interface DataOfRun {
  readonly opened: OpenedData;
  readonly facts?: PictureFacts;
  readonly count?: number;
}

/** The settings that say which data a ShakeNet is made for. */
export type ShakeNetData = PictureChoice &
  Pick<GivenRun, "data" | "dataDir" | "imageSize" | "channels"> & { readonly pixels?: string | undefined };

/** The data of a new ShakeNet. Throws UserError for settings that it does not take. */
export async function dataOfShakeNet(given: ShakeNetData, progress: Progress): Promise<DataOfRun> {
  const { data = "shapes", dataDir, imageSize = ownSide, channels = "rgb" } = given;
  refusePictureSettings(given);
  if (isDatasetName(data)) return { opened: await openData({ data, dataDir }, progress) };
  expectImageSize({ imageSize });
  const size = { channels: channelCounts[channels], height: imageSize, width: imageSize };
  const { data: opened, facts, count } = await openNewPictures(data, size, given, progress);
  return { opened, facts, count };
}

/** Throws UserError for --pixels beside a ShakeNet. */
export function refusePixels({ pixels }: Pick<ShakeNetData, "pixels">): void {
  if (pixels === undefined) return;
  throw new UserError(
    "--pixels is for a model that came from a file; shake's own networks take raw pixels.",
    { code: "setting-conflict", details: { setting: "pixels" } },
  );
}

/** Throws UserError for settings that a ShakeNet does not take, with this data set or with any. */
export function refusePictureSettings(given: ShakeNetData): void {
  const { imageSize, data = "shapes" } = given;
  refusePixels(given);
  if (!isDatasetName(data)) return;
  refuseOwnSettings(given, data);
  if (imageSize === undefined) return;
  throw new UserError(
    `--image-size is for pictures of one's own, and for a model that came from a file: ${datasets[data].title} has its size.`,
    { code: "setting-conflict" },
  );
}
