import type { Progress } from "../progress.ts";
import type { Reporter } from "./reporter.ts";

/** Shows what `hint` says of a step, once. */
export function hintReporter(
  progress: Progress,
  hint: (step: { readonly step: number; readonly loss: number }) => string | undefined,
): Reporter {
  let isSaid = false;
  return {
    report(event) {
      if (isSaid || event.type !== "step") return;
      const sentence = hint({ step: event.step, loss: event.batchMetrics.loss });
      if (sentence === undefined) return;
      isSaid = true;
      progress.log(`Warning: ${sentence}`);
    },
  };
}
