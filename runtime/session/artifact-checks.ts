import type { Checkpoint } from "../../artifacts/checkpoint.ts";
import {
  type Binding,
  type BoundGraph,
  deriveBindings,
  didYouMean,
  explicitBindings,
  formatType,
  outputOf,
  type Tensor,
  tensorType,
  UserError,
  type ValueType,
} from "../../graph-builder/index.ts";
import type { DecodedModels } from "./lowered-models.ts";

/**
 * Checks that the files of artifacts belong together. Throws UserError where the checkpoint lacks a tensor
 * that a model reads, or has it in another type or shape, where the training model gives a trainable
 * parameter no gradient (an eval model in its place does so), where the eval model reads nothing of it or is
 * a training model, and where the optimizer model updates nothing, or has nothing to do.
 */
export function expectFit({ checkpoint, training, evaluation, optimizer }: DecodedModels): void {
  for (const [model, bound] of Object.entries({ training, eval: evaluation, optimizer })) {
    if (bound) expectTensors(model, bound, checkpoint);
  }
  const isFused = expectTrains(training, checkpoint);
  if (evaluation) expectEvaluates(evaluation, checkpoint);
  if (optimizer && isFused) {
    throw mismatch(
      "The training model updates the parameters itself, so it takes no optimizer model: leave that out.",
      { model: "optimizer" },
    );
  }
  const updates = optimizer && explicitBindings(optimizer).some(isUpdate);
  if (updates !== false || checkpoint.trainable.size === 0) return;
  throw mismatch("The optimizer model updates no parameter of the checkpoint.", { model: "optimizer" });
}

function expectTensors(model: string, { graph, bindings }: BoundGraph, checkpoint: Checkpoint): void {
  const types = new Map(graph.inputs.map(({ name = "", type }) => [name, type]));
  const { trainable, frozen, optimizer } = checkpoint;
  for (const binding of bindings) {
    const type = types.get(binding.input ?? "");
    if (type === undefined) continue;
    if (binding.role === "moment" && model === "optimizer") {
      const { parameter, index } = binding;
      const moment = optimizer?.momenta.get(parameter)?.[index];
      if (moment) expectSame(model, `moment ${index} of ${parameter}`, type, moment);
    } else if (isTensorOf(binding)) {
      const name = binding.input;
      const tensor = trainable.get(name) ?? frozen.get(name);
      if (!tensor) throw missingTensor(name, [...trainable.keys(), ...frozen.keys()]);
      expectSame(model, name, type, tensor);
    }
  }
}

/** Whether a binding's input is a tensor of the checkpoint. */
function isTensorOf(binding: Binding): binding is Extract<Binding, { role: "parameter" | "moment" }> {
  return ["parameter", "statistic", "constant", "moment"].includes(binding.role);
}

function expectSame(model: string, name: string, type: ValueType, { elemType, dims }: Tensor): void {
  const shape = type.kind === "tensor" ? type.shape : [];
  const fits =
    type.elemType === elemType &&
    shape.length === dims.length &&
    shape.every((dim, i) => typeof dim !== "number" || dim === dims[i]);
  if (fits) return;
  const own = formatType(tensorType(elemType, dims));
  throw mismatch(`${name} is ${own} in the checkpoint, and the ${model} model reads ${formatType(type)}.`, {
    model,
    parameter: name,
  });
}

/**
 * Each trainable parameter has a gradient, or the training model updates it. Returns whether it does so for
 * all.
 */
function expectTrains(training: BoundGraph, { trainable }: Checkpoint): boolean {
  const bindings = explicitBindings(training);
  const isFused = bindings.some(({ role }) => role === "learning-rate");
  const trained = new Set(
    bindings.flatMap((binding) => {
      if (outputOf(binding) === undefined) return [];
      if (binding.role === "gradient") return binding.parameter;
      return isFused && binding.role === "parameter" ? binding.input : [];
    }),
  );
  const idle = [...trainable.keys()].find((name) => !trained.has(name));
  if (idle !== undefined) {
    throw mismatch(
      `The training model gives no gradient of ${idle}, a trainable parameter of the checkpoint: is it an eval model, or of another checkpoint?`,
      { model: "training", parameter: idle },
    );
  }
  if (trained.size > 0) return isFused;
  throw mismatch("The training model trains nothing: it returns no gradient and updates no parameter.", {
    model: "training",
  });
}

/** The eval model is one, and of this checkpoint. */
function expectEvaluates({ graph, bindings }: BoundGraph, { trainable, frozen }: Checkpoint): void {
  const names = { trainable: new Set(trainable.keys()), frozen: new Set(frozen.keys()) };
  const roles = [...bindings, ...deriveBindings(graph, "training", names)].map(({ role }) => role);
  if (roles.includes("gradient") || roles.includes("learning-rate")) {
    throw mismatch("The eval model computes gradients or updates: is it the training model?", {
      model: "eval",
    });
  }
  if (names.trainable.size + names.frozen.size === 0 || bindings.some(isTensorOf)) return;
  throw mismatch("The eval model reads no tensor of the checkpoint: is it of another model?", {
    model: "eval",
  });
}

function isUpdate(binding: Binding): boolean {
  return binding.role === "parameter" && binding.output !== undefined;
}

function missingTensor(name: string, known: readonly string[]): UserError {
  return new UserError(
    `The checkpoint has no parameter ${name}, which the models read.${didYouMean(name, known)}`,
    { code: "parameter-unknown", details: { parameter: name, known } },
  );
}

function mismatch(message: string, details: Readonly<Record<string, unknown>>): UserError {
  return new UserError(message, { code: "artifacts-mismatch", details });
}
