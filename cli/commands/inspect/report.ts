import type { Model } from "../../../graph-builder/index.ts";

/** The description of a file, as `--json` prints it and as text. */
export interface Report {
  readonly facts: Readonly<Record<string, unknown>>;
  readonly text: string;
  /** The model, in which a node that the compiler does not cover is kept as the file has it. */
  readonly model?: Model;
  /** The reason why the compiler refuses the model. */
  readonly refusal?: string;
}
