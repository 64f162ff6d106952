import type { ClassificationEvent } from "../../runtime/index.ts";

/** Renders the events of a run: on the terminal, or into files of its folder. */
export interface Reporter {
  /** Called with every event, in order. The run goes on when the promise resolves. */
  report(event: ClassificationEvent): Promise<void> | void;
  /** Called once after the last epoch. Writes what needs the whole run; undefined where it could not. */
  finish?(): Promise<ReportFile | undefined>;
}

/** A file that a reporter wrote. */
export interface ReportFile {
  readonly path: string;
  /** What the file shows, for the summary of the run. */
  readonly what: string;
}
