import type { Model } from "../../../graph-builder/index.ts";

/** What a file is, as `--json` prints it, and the same for people. */
export interface Report {
  readonly facts: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly model?: Model;
}
