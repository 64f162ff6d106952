import {
  type Graph,
  isOp,
  type Model,
  type Node,
  stopsGradient,
  UserError,
  type Value,
} from "../graph-builder/index.ts";
import { foldedNormalization } from "./folded-normalization.ts";
import { listed } from "./listed.ts";
import { valuesOfLoss } from "./losses.ts";
import { parametersOf } from "./model-parameters.ts";
import type { TrainingPlan } from "./training-graphs.ts";

/** Something that a user of the artifacts should know. */
export interface Warning {
  readonly code:
    | "activation-doubled"
    | "batch-normalization-folded"
    | "gradient-stopped"
    | "weights-tied"
    | "weights-left-alone";
  /** A sentence. */
  readonly message: string;
  /** The names of the tensors that it is about. */
  readonly tensors: readonly string[];
}

/**
 * What a user should know about the artifacts of a model. Throws UserError where no parameter has a gradient
 * other than 0.
 */
export function warningsOf(plan: TrainingPlan, source: Model | undefined): Warning[] {
  const { form, trained } = plan;
  const constants = form.graph.initializers;
  return [
    ...stoppedGradients(plan),
    ...doubledActivation(plan),
    ...tiedWeights(form.graph, trained),
    ...weightsLeftAlone(constants),
    ...foldedNormalization(source),
  ];
}

/**
 * Parameters that the loss depends on only through nodes whose derivative is 0, such as ArgMax and Round:
 * training leaves them as they are.
 */
function stoppedGradients({ form, trained, loss, lossInput }: TrainingPlan): Warning[] {
  const read = valuesOfLoss(loss, form.graph, lossInput);
  const [reached, behind] = [valuesBehind(read, stopsGradient), valuesBehind(read, () => false)];
  const parameters = form.graph.initializers.filter(({ name = "" }) => trained.has(name));
  const stopped = parameters.filter((value) => behind.has(value) && !reached.has(value));
  if (stopped.length === 0) return [];
  const nodes = [...behind].flatMap(({ producer }) => producer ?? []);
  const stop = nodes.find((node) => stopsGradient(node) && node.outputs.some((value) => reached.has(value)));
  const tensors = stopped.map(({ name = "" }) => name);
  const reason = `no gradient passes ${stop?.opType} at ${stop?.name}, whose derivative is 0`;
  if (stopped.length === parameters.length)
    throw new UserError(`The model cannot be trained: ${reason}.`, { code: "model-unsupported" });
  return [{ code: "gradient-stopped", message: `${listed(tensors)} will not change: ${reason}.`, tensors }];
}

/** The values that some values depend on, themselves included, up to nodes that end the walk. */
function valuesBehind(values: readonly Value[], endsAt: (node: Node) => boolean): ReadonlySet<Value> {
  const found = new Set<Value>();
  const pending = [...values];
  for (let value = pending.pop(); value; value = pending.pop()) {
    if (found.has(value)) continue;
    found.add(value);
    if (!value.producer || endsAt(value.producer)) continue;
    for (const input of value.producer.inputs) if (input) pending.push(input);
  }
  return found;
}

/** The activation that each loss applies itself. */
const ownActivations = { "cross-entropy": "Softmax", "bce-with-logits": "Sigmoid" } as const;

/** A loss that reads what its own activation has made already. */
function doubledActivation({ form, loss, lossInput }: TrainingPlan): Warning[] {
  const type = typeof loss === "object" && "type" in loss ? loss.type : loss;
  if (type !== "cross-entropy" && type !== "bce-with-logits") return [];
  const activation = ownActivations[type];
  const doubled = valuesOfLoss(loss, form.graph, lossInput).filter((output) =>
    isOp(makerOf(output), activation),
  );
  return doubled.map(({ name = "" }) => ({
    code: "activation-doubled",
    message: `${type} applies ${activation} itself, and the output ${name} is the result of ${activation} already: it trains, slowly. Where you can, export the model without that ${activation}.`,
    tensors: [name],
  }));
}

/** The node that made a value's numbers, before others that only move them. */
function makerOf({ producer }: Value): Node | undefined {
  return isOp(producer, "Identity", "Reshape", "Flatten", "Cast") ? makerOf(producer.input(0)) : producer;
}

/** Parameters that several layers read, straight or through operators that only move or join constants. */
function tiedWeights(graph: Graph, trained: ReadonlySet<string>): Warning[] {
  return parametersOf(graph).flatMap(({ name, layers }) => {
    const nodes = [...new Set(layers.map(({ node }) => node))];
    if (!trained.has(name) || nodes.length < 2) return [];
    return [
      {
        code: "weights-tied",
        message: `${name} is one tensor for ${nodes.length} nodes (${listed(nodes)}): they stay equal in training.`,
        tensors: [name],
      },
    ];
  });
}

/** Types of weights that have no gradient here. */
const otherTypes = new Set(["double", "int8", "uint8", "int4", "uint4"]);

function weightsLeftAlone(constants: readonly Value[]): Warning[] {
  const others = constants.filter(
    ({ name, constant }) =>
      name !== undefined && constant && otherTypes.has(constant.elemType) && constant.data.length > 1,
  );
  if (others.length === 0) return [];
  const types = [...new Set(others.map(({ elemType }) => elemType))].join(" and ");
  const tensors = others.map(({ name = "" }) => name);
  return [
    {
      code: "weights-left-alone",
      message: `${tensors.length} tensors of ${types} are left as they are: only float weights are trained.`,
      tensors,
    },
  ];
}
