import { describeData, isDatasetName } from "../../../runtime/data/dataset.ts";
import { kebabCase } from "../../../runtime/node/run/schema.ts";
import {
  type CountSettings,
  settingsForCount,
  settingsForKnown,
} from "../../../shakenet/node/data-defaults.ts";
import { say } from "../../terminal.ts";

/** The settings that may follow from the data set, or from what the network has learnt before. */
type Fitted = { readonly [N in keyof CountSettings]?: CountSettings[N] | undefined } & {
  readonly learningRate?: number | undefined;
};

/**
 * The settings of a new run with those that follow from its data set where nobody gave others: of one's own
 * pictures from the number that is trained on. `others` are chosen in the same way. They are told in a
 * sentence.
 */
export function fitToData<G extends Fitted>(
  given: G,
  data: string,
  count: number | undefined,
  network: "new" | "trained" = "new",
  others: Pick<Fitted, "learningRate"> = {},
): G {
  const fitting = count === undefined ? settingsForKnown(data) : settingsForCount(count, given, network);
  const chosen = Object.entries({ ...fitting, ...others }).filter(([name]) => !(name in given));
  if (chosen.length > 0) {
    const flags = chosen.map(([name, value]) => `--${kebabCase(name)} ${value}`).join(" ");
    const images = isDatasetName(data)
      ? describeData({ data }).title
      : `${(count ?? 0).toLocaleString("en-US")} training pictures`;
    say(`For ${images}, where you say nothing else: ${flags}`);
  }
  return { ...given, ...Object.fromEntries(chosen) };
}
