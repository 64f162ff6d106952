import {
  type BoundGraph,
  bindModel,
  chunkNames,
  createBuilder,
  createModel,
  encodeChunk,
  encodeModel,
  Graph,
  rewriteGraph,
} from "../graph-builder/index.ts";
import type { StateTensor } from "./parameters.ts";

/** A chunk of training steps as a plain model, and the state that its first call is fed. */
export interface EpochModels {
  /**
   * ai.onnx Scan around the fused training step. A state is the input `x` and the output `x_next`; what every
   * step gets anew, and the outputs `loss` and `correct`, have a leading axis `steps`.
   */
  readonly epochModel: Uint8Array;
  /** A model without inputs, whose outputs are the tensors of the checkpoint by the names of those inputs. */
  readonly initialState: Uint8Array;
}

/**
 * The models with which any ONNX runtime trains without another library: the chunk of steps, and the state
 * before the first. Throws UserError where the step does not update its parameters itself.
 */
export function epochModels(
  training: BoundGraph,
  tensors: readonly StateTensor[],
  name: string,
): EpochModels {
  const step = withoutReset(training);
  const model = bindModel(step, { docString: `${name}: a chunk of training steps` });
  return {
    epochModel: encodeChunk(model, chunkNames(step)),
    initialState: stateModel(tensors, name),
  };
}

/** Without `lazy_reset_grad`, which ONNX Runtime's training API wants and no node of a fused step reads. */
function withoutReset({ graph, bindings }: BoundGraph): BoundGraph {
  const kept = bindings.filter(({ role }) => role !== "reset-gradients");
  const dropped = new Set(bindings.filter((binding) => !kept.includes(binding)).map(({ input }) => input));
  const rest = rewriteGraph(
    graph,
    () => undefined,
    ({ name = "", type }, g) => (dropped.has(name) ? undefined : g.inputOf(name, type)),
  );
  return { graph: rest, bindings: kept };
}

function stateModel(tensors: readonly StateTensor[], name: string): Uint8Array {
  const g = createBuilder(new Graph("initial_state"));
  for (const { name: state, tensor } of tensors) g.output(g.Identity(g.constant(tensor)), state);
  return encodeModel(createModel(g.graph, { docString: `${name}: the state before the first step` }));
}
