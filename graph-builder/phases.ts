import type { Graph, Node, Notes, Phase } from "./ir.ts";

const order: readonly Phase[] = ["forward", "backward", "update"];

/** The key of a node's metadata_props that says its phase, where that is not the forward phase. */
const PHASE_KEY = "training.phase";

/** The notes of a node, with its phase as metadata. */
export function notesWithPhase({ notes, phase }: Node): Notes | undefined {
  if (phase === "forward") return notes;
  return { ...notes, metadataProps: { ...notes?.metadataProps, [PHASE_KEY]: phase } };
}

/** The phase that a node's notes say, and the notes without it. */
export function splitPhase(notes: Notes | undefined): {
  phase: Phase | undefined;
  notes: Notes | undefined;
} {
  const { [PHASE_KEY]: said, ...metadataProps } = notes?.metadataProps ?? {};
  const phase = order.find((one) => one === said);
  if (!phase) return { phase, notes };
  const isEmpty = Object.keys(metadataProps).length === 0;
  const rest = { ...notes, metadataProps: isEmpty ? undefined : metadataProps };
  return { phase, notes: Object.values(rest).some((value) => value !== undefined) ? rest : undefined };
}

/**
 * Sets the phase of every node of a file that says none: autodiff names nodes of the backward pass
 * `<node>_Grad/...`, the nodes of an update are `update/...` or an optimizer of ONNX Runtime, and what reads
 * a value of a later phase belongs to that phase too.
 */
export function derivePhases(graph: Graph): void {
  for (const node of graph.nodes) {
    const before = node.inputs.map((input) => input?.producer?.phase ?? "forward");
    node.phase = [phaseByName(node), ...before].reduce(later);
  }
}

function later(a: Phase, b: Phase): Phase {
  return order.indexOf(a) > order.indexOf(b) ? a : b;
}

function phaseByName({ opType, name }: Node): Phase {
  if (name.startsWith("update/") || optimizers.includes(opType)) return "update";
  return /_grad\//i.test(name) ? "backward" : "forward";
}

const optimizers: readonly string[] = [
  "SGDOptimizerV2",
  "AdamWOptimizer",
  "InplaceClipGradNorm",
  "PassThrough",
];
