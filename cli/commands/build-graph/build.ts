import type { TrainingArtifacts } from "../../../artifacts/index.ts";

/** Artifacts before they are written, and what is said of them. */
export interface Build {
  readonly folder: string;
  readonly artifacts: TrainingArtifacts;
  /** Lines of names and values; the sizes of the files follow. */
  readonly fields: Readonly<Record<string, string | number | undefined>>;
  /** Texts behind the fields. */
  readonly sections: readonly string[];
  /** The commands that may follow. */
  readonly next: readonly string[];
}
