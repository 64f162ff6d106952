import type { Model } from "../../../graph-builder/index.ts";

/** The description of a file, as `--json` prints it and as text. */
export interface Report {
  readonly facts: Readonly<Record<string, unknown>>;
  readonly text: string;
  /** The model, where the compiler reads the file. */
  readonly model?: Model;
  /** The reason why the compiler refuses the model. */
  readonly refusal?: string;
}
