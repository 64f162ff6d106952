import type { ReportFacts, Tile } from "../../cli/report/facts.ts";
import { encodePng } from "../../cli/report/png.ts";
import { EvaluationSums } from "../../runtime/index.ts";

/** A picture of one colour as a report shows it. */
function tileOf(label: string, predicted: string, name: string): Tile {
  const png = encodePng(new Uint8Array(3 * 16).fill(120), { channels: 3, height: 4, width: 4 });
  const source = `data:image/png;base64,${png.toString("base64")}`;
  return { source, side: 4, name, label, predicted, confidence: 0.9, labelProbability: 0.05 };
}

/** What a report of a run shows: a class for each name, each with ten images, a third of them wrong. */
export function reportFacts(
  classNames: readonly string[],
  changes: Partial<ReportFacts["run"]> = {},
): ReportFacts {
  const classes = classNames.length;
  const sums = new EvaluationSums({ classNames });
  for (let i = 0; i < 10 * classes; i++) {
    const label = i % classes;
    const logits = new Float32Array(classes);
    logits[i % 3 === 0 ? (label + 1) % classes : label] = 3;
    sums.add({ data: logits, dims: [1, classes] }, [label]);
  }
  const record = (epoch: number, accuracy: number, loss: number) => ({
    epoch,
    step: 10 * epoch,
    train_loss: loss,
    train_accuracy: accuracy,
    test_loss: loss + 0.1,
    test_accuracy: accuracy - 2,
    learning_rate: 0.1,
    images_per_second: 100,
    // 58 min 21 s together
    seconds: 1167,
  });
  const [first = "", second = ""] = classNames;
  return {
    run: {
      path: "runs/a run",
      network: "ShakeNet 8 2x2d",
      data: "photos",
      state: "finished",
      epochs: 3,
      records: [record(1, 30, 2), record(2, 50, 1.5), record(3, 65, 1)],
      part: "validation",
      settings: { depth: 8, batchSize: 16 },
      command: "shake train --data photos",
      origin: undefined,
      parameters: 26_192_922,
      layers: [{ name: "fc", operator: "Gemm", output: "float[batch, 10]", parameters: 90, flops: 160 }],
      ...changes,
    },
    measured: {
      what: "runs/a run/checkpoints/last",
      data: "photos",
      part: "validation",
      classNames,
      evaluation: sums.result(),
      mistakes: [tileOf(first, second, "a/1.png"), tileOf(second, first, "a/2.png")],
      surest: [tileOf(first, first, "a/3.png")],
      trainCounts: classNames.map((_, i) => (i === 0 ? 2 : 90)),
    },
    notes: [],
  };
}
