import type { Model } from "../../../graph-builder/index.ts";

/** What a file is, as `--json` prints it, and the same for people. */
export interface Report {
  readonly facts: Readonly<Record<string, unknown>>;
  readonly text: string;
  /** The model, where the file is one that the compiler reads. */
  readonly model?: Model;
  /** Why the compiler does not read a model. */
  readonly refusal?: string;
}
