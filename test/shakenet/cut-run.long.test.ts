import { test } from "vitest";
import { tinyRun } from "../support/tiny-run.ts";
import { expectSameEndWhereverCut } from "../support/training-runs.ts";

test("a run cut at any step and opened again ends in the same bytes as an uncut one", () =>
  expectSameEndWhereverCut((checkpoint) => tinyRun({}, checkpoint), 6));

test("a run with every other setting, cut at any step, ends in the same bytes as an uncut one too", () =>
  expectSameEndWhereverCut(
    (checkpoint) =>
      tinyRun(
        {
          evaluateEveryEpochs: 2,
          augmentation: { flip: "alternating", translate: 2, border: "reflect", cutout: 8 },
          strength: (step) => step / 6,
          mixing: { mixup: 1, cutmix: 1, classes: 10 },
          artifacts: {
            stem: "whitening-2",
            initialization: "dirac",
            outputScale: 0.5,
            labelSmoothing: 0.1,
            softLabels: true,
          },
        },
        checkpoint,
      ),
    3,
  ));

test("a run that begins with small images, cut at any step, ends in the same bytes as an uncut one too", () =>
  expectSameEndWhereverCut(
    (checkpoint) =>
      tinyRun(
        {
          earlySize: { side: 16, epochs: 1 },
          artifacts: { anySize: true, stem: "whitening-pool", downsampling: "max-pool", activation: "gelu" },
        },
        checkpoint,
      ),
    5,
  ));

test("a run of a PyramidNet with ShakeDrop, cut at any step, ends in the same bytes as an uncut one too", () =>
  expectSameEndWhereverCut((checkpoint) => {
    const artifacts = { network: "pyramidnet", width: 3, alpha: 5 } as const;
    return tinyRun({ artifacts }, checkpoint);
  }, 3));

test("a run of a fused ResNet in standard ONNX with ShakeDrop a batch ends in the same bytes wherever it is cut", () =>
  expectSameEndWhereverCut((checkpoint) => {
    const artifacts = { network: "preact-resnet", target: "standard", fused: true } as const;
    return tinyRun({ epochs: 1, level: "batch", artifacts }, checkpoint);
  }, 2));
