import { UserError } from "../../graph-builder/errors.ts";
import { drawShapes } from "../../runtime/data/shapes.ts";
import type { DeviceName, ModelCalls } from "../calls/model.ts";
import type { BranchGradients } from "./branch-gradients.ts";
import { readModel } from "./models.ts";
import type { Queue } from "./queue.ts";
import { ShownModel } from "./shown-model.ts";

/**
 * The functions of the worker for the model that the page shows. `onChosen` is told of the device that the
 * user, or the faster time, has chosen for it.
 */
export function modelJob(queue: Queue, onChosen: (device: DeviceName) => void): ModelCalls {
  let shown: ShownModel | undefined;
  let gradients: BranchGradients | undefined;
  const expectShown = () => {
    if (shown) return shown;
    throw new UserError("The page has no model yet: drop an .onnx file on the page, or train a network.", {
      code: "model-missing",
    });
  };
  return {
    async open(file) {
      const model = await readModel(file);
      const next = await ShownModel.open(model, queue);
      const before = shown;
      shown = next;
      await before?.release();
      return { info: { ...model.info, input: next.input }, devices: next.devices };
    },
    async chooseDevice(choice) {
      await expectShown().choose(choice);
      // another model may have been opened meanwhile
      const { devices } = expectShown();
      onChosen(devices.chosen);
      return devices;
    },
    async drawExamples(count, from) {
      const { images, labels } = drawShapes("test", from + count, 0);
      const pixels = images.length / labels.length;
      return { images: images.slice(from * pixels), labels: labels.slice(from) };
    },
    classify: async (images) => expectShown().classify(images),
    shake: async (image, alphas) => expectShown().shake(image, alphas),
    branchGradients: async (pictures, alpha, beta) => {
      const { model } = expectShown();
      const { BranchGradients } = await import("./branch-gradients.ts");
      return queue.run(async () => {
        if (gradients?.model !== model) {
          const before = gradients;
          gradients = undefined;
          await before?.release();
          gradients = await BranchGradients.open(model);
        }
        return gradients.norms(pictures, alpha, beta);
      });
    },
  };
}
