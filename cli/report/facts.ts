import type { ClassificationRecord, Evaluation } from "../../runtime/index.ts";
import type { MeasuredImages } from "../data/measured.ts";
import type { Layer } from "../models/layers.ts";
import type { RunState } from "../models/run-state.ts";
import type { Origin } from "./origin.ts";

/** The pictures that something was measured on. */
export type MeasuredPart = MeasuredImages["part"];

/** What a report says of a run without running its network. */
export interface RunFacts {
  readonly path: string;
  /** The network, for people. */
  readonly network: string;
  /** The data set, for people. */
  readonly data: string;
  readonly state: RunState;
  /** The epochs that the run was made for. */
  readonly epochs: number;
  readonly records: readonly ClassificationRecord[];
  /** What the records were measured on. */
  readonly part: Exclude<MeasuredPart, "all">;
  readonly settings: Readonly<Record<string, unknown>>;
  /** The command that repeats the run. */
  readonly command: string | undefined;
  readonly origin: Origin | undefined;
  readonly parameters: number | undefined;
  readonly layers: readonly Layer[];
}

/** A picture of a report with what the network says of it. */
export interface Tile {
  /** The picture as a data URI. */
  readonly source: string;
  /** Its longer side, in pixels. */
  readonly side: number;
  /** Its path, or its number in the data set. */
  readonly name: string;
  readonly label: string;
  readonly predicted: string;
  /** The probability of the predicted class. */
  readonly confidence: number;
  /** The probability of the right class. */
  readonly labelProbability: number;
}

/** What a report says of a network on pictures. */
export interface MeasuredFacts {
  /** The checkpoint or the model. */
  readonly what: string;
  readonly data: string;
  readonly part: MeasuredPart;
  /** The names of all classes of the network. */
  readonly classNames: readonly string[];
  readonly evaluation: Evaluation;
  readonly mistakes: readonly Tile[];
  readonly surest: readonly Tile[];
  /** The training pictures of each class, where they are known. */
  readonly trainCounts: readonly number[] | undefined;
}

/** All that a report shows. */
export interface ReportFacts {
  readonly run: RunFacts;
  readonly measured: MeasuredFacts | undefined;
  /** Sentences about what is missing, and about the pictures. */
  readonly notes: readonly string[];
}
