import { kebabCase } from "../../../runtime/node/run/schema.ts";
import { anyModelSettings } from "../../any-model-settings.ts";
import { flagName } from "../../command.ts";

/** The options of `generateArtifacts` and of its losses and optimizers that are flags under the same name. */
const options = [
  ...Object.keys(anyModelSettings),
  "labelSmoothing",
  "learningRate",
  "momentum",
  "sgdDecay",
  "sgdRate",
  "weightDecay",
].filter((name) => /[A-Z]/.test(name));

const inSentence = new RegExp(`(?<![\\w.])(?:${options.join("|")})(?![\\w.]\\w)`, "g");

/** A sentence with the flags in the place of options; settings of a group get no dashes in front. */
export function withFlagNames(message: string, { isOfGroup }: { readonly isOfGroup: boolean }): string {
  return message.replace(inSentence, (name) => (isOfGroup ? kebabCase(name) : flagName(kebabCase(name))));
}
