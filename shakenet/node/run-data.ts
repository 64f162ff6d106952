import { z } from "zod";
import { parseValue } from "../../artifacts/json.ts";
import { type DataReference, describeData, isDatasetName } from "../../runtime/data/dataset.ts";
import type { PictureFacts } from "../../runtime/data/types.ts";

/** The channels that pictures of one's own may have, and their number. */
export const pictureChannels = ["rgb", "grey", "rgba"] as const;
export const channelCounts: Readonly<Record<(typeof pictureChannels)[number], number>> = {
  rgb: 3,
  grey: 1,
  rgba: 4,
};

const pictureFactsSchema = z.object({
  classNames: z.array(z.string()),
  size: z.object({ channels: z.int(), height: z.int(), width: z.int() }),
  mean: z.array(z.number()),
  std: z.array(z.number()),
  background: z.array(z.number()),
});

/**
 * What a `config.json` keeps of pictures of one's own; undefined where it keeps nothing. Throws UserError,
 * naming the file, for something else.
 */
export function pictureFactsIn(raw: unknown, file: string): PictureFacts | undefined {
  if (raw === undefined) return undefined;
  return parseValue(pictureFactsSchema, raw, { where: `pictures in ${file}`, code: "file-damaged" });
}

/**
 * The settings as others may read them: a path of one's own pictures becomes `./NAME`, which says nothing of
 * this machine and is never the name of a known data set.
 */
export function publicConfig<C extends DataReference>(config: C): C {
  if (!config.pictures) return config;
  return { ...config, data: `./${describeData(config).title}`, classMap: undefined };
}

/** The data set's name as a part of a path. */
export function dataSlug(config: DataReference): string {
  return isDatasetName(config.data) ? config.data : describeData(config).title.replace(/[^\w.-]+/g, "-");
}
