import { at } from "../../../graph-builder/at.ts";
import { type InputSizes, type Lowering, UserError } from "../../../graph-builder/index.ts";
import { dealOut } from "../../replicas/collective.ts";
import { type BatchAxes, batchAxes } from "../../replicas/shares.ts";
import { type GraphInput, graphInputs } from "../../session/feeds.ts";
import {
  type DecodedModels,
  type LoweredModel,
  type LoweredModels,
  lowerModel,
  lowerTraining,
  withoutUpdates,
} from "../../session/lowered-models.ts";

/** What the models of replicas depend on, beside the artifacts and the lowering. */
interface ReplicaSettings {
  readonly replicas: number;
  readonly inputSizes?: readonly InputSizes[] | undefined;
  /** The symbol of the axes that the replicas share; `batch` where left out. */
  readonly batch?: string | undefined;
}

/** The lowered models of the replicas of a process, and what is known of their parameters and feeds. */
export interface ReplicaModels extends Pick<LoweredModels, "train" | "otherSizes"> {
  /** The number of values of each parameter, in the order of the training model's inputs. */
  readonly sizes: readonly number[];
  /** For each replica the parameters that it updates. */
  readonly parts: readonly (readonly number[])[];
  /** For each replica the optimizer model of its part; null where it updates nothing. */
  readonly updates: readonly (LoweredModel | null)[];
  /** For each replica the parameters whose gradients its update reads. */
  readonly needs: readonly (readonly number[])[];
  /** The inputs that a step of the whole batch is fed. */
  readonly inputs: readonly GraphInput[];
  readonly axes: BatchAxes;
}

/**
 * Lowers the training model once, and for each replica its own part of the optimizer model. Throws UserError
 * for a fused training model, for parameters that are not float, and as lowerModels does.
 */
export function replicaModels(
  decoded: DecodedModels,
  lowering: Lowering,
  { replicas, inputSizes = [], batch }: ReplicaSettings,
): ReplicaModels {
  const { training, optimizer } = decoded;
  const { names, sizes } = sharedParameters(decoded);
  const parts = dealOut(sizes, replicas);
  const updates = parts.map((own) => {
    if (!optimizer || own.length === 0) return null;
    const others = names.filter((_, i) => !own.includes(i));
    return lowerModel(withoutUpdates(optimizer, others), lowering);
  });
  const bound = new Set(training.bindings.map(({ input }) => input));
  return {
    ...lowerTraining(training, lowering, inputSizes, { addsGradients: true }),
    sizes,
    parts,
    updates,
    needs: updates.map((update) => gradientsOf(update, names)),
    inputs: graphInputs(training.graph).filter(({ name }) => !bound.has(name)),
    axes: batchAxes(training.graph, batch),
  };
}

/** The models of one replica. */
export function modelsOf({ train, otherSizes, updates }: ReplicaModels, replica: number): LoweredModels {
  return { train, otherSizes, optimize: at(updates, replica) ?? undefined };
}

/** The indices of the parameters whose gradients an update reads. */
function gradientsOf(update: LoweredModel | null, names: readonly string[]): number[] {
  const read = new Set(update?.bindings.flatMap((one) => (one.role === "gradient" ? one.parameter : [])));
  return [...names.entries()].flatMap(([i, name]) => (read.has(name) ? i : []));
}

interface SharedParameters {
  readonly names: readonly string[];
  /** The number of values of each parameter. */
  readonly sizes: readonly number[];
}

/**
 * The parameters in the order of the training model's inputs. Throws UserError where they cannot be trained
 * in shares.
 */
function sharedParameters({ training, checkpoint: { trainable } }: DecodedModels): SharedParameters {
  if (training.bindings.some(({ role }) => role === "learning-rate")) {
    throw new UserError(
      "A fused training model updates its weights before the replicas' gradients are averaged: build the artifacts without --fused, or train one replica.",
      { code: "replicas-unsupported", details: { reason: "fused" } },
    );
  }
  const inputs = training.graph.inputs.map(({ name = "" }) => name);
  const parameters = inputs.flatMap((name) => {
    const tensor = trainable.get(name);
    return tensor ? [{ name, tensor }] : [];
  });
  const sizes = parameters.map(({ name, tensor: { elemType, data } }) => {
    if (elemType === "float") return data.length;
    throw new UserError(`${name} is ${elemType}, and replicas share float gradients only.`, {
      code: "replicas-unsupported",
      details: { reason: "type", parameter: name, type: elemType },
    });
  });
  return { names: parameters.map(({ name }) => name), sizes };
}
