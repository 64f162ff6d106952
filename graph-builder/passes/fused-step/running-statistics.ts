import type { Builder } from "../../builder.ts";
import { type Graph, isOp, type Value } from "../../ir.ts";
import { divisorOf, type Pack, type PackMember } from "./packs.ts";

/** Running means, or running variances, that follow their batches in one way. */
export interface RunningStatistics {
  readonly pack: Pack;
  /** The outputs that the members' next values had before, in their order. */
  readonly outputNames: readonly string[];
  /** Which output of BatchNormInternal the batch's statistic is: 3 the mean, 4 one over the deviation. */
  readonly output: 3 | 4;
  readonly momentum: number;
  readonly epsilon: number;
}

/** The running statistics of all batch normalisations; none where they are not all updated in one way. */
export function runningStatisticsOf(step: Graph): RunningStatistics[] {
  const means: { members: PackMember[]; outputNames: string[] } = { members: [], outputNames: [] };
  const variances: typeof means = { members: [], outputNames: [] };
  let common: { momentum: number; epsilon: number } | undefined;
  for (const output of step.outputs) {
    const node = output.producer;
    if (!isOp(node, "BatchNormInternal")) continue;
    const index = node.outputs.indexOf(output);
    // what it makes of its input may be an output of the step too
    if (index !== 1 && index !== 2) continue;
    const { name = "", shape, uses } = node.input(index + 2);
    if (uses.length !== 1) continue;
    const { momentum, epsilon } = node.attributes;
    common ??= { momentum, epsilon };
    if (common.momentum !== momentum || common.epsilon !== epsilon) return [];
    const { members, outputNames } = index === 1 ? means : variances;
    members.push({ name, dims: shape.map(Number) });
    outputNames.push(output.name ?? "");
  }
  if (!common) return [];
  const width = divisorOf([...means.members, ...variances.members]);
  const statistics = (name: string, output: 3 | 4, { members, outputNames }: typeof means) => ({
    pack: { name, width, members },
    outputNames,
    output,
    ...common,
  });
  return [statistics("running_mean", 3, means), statistics("running_var", 4, variances)];
}

/**
 * Appends running * momentum + batch * (1 - momentum) over one matrix. A batch's variance is
 * 1 / invStd^2 - epsilon.
 */
export function appendRunningStatistics(
  g: Builder,
  { pack: { width }, outputNames, output, momentum, epsilon }: RunningStatistics,
  running: Value,
  outputs: ReadonlyMap<string, Value>,
): Value {
  const values = outputNames.flatMap((name) => outputs.get(name)?.producer?.output(output) ?? []);
  const joined = g.Concat(...values.map((value) => g.Reshape(value, g.int64([-1, width]))), { axis: 0 });
  const batch = output === 3 ? joined : g.Sub(g.Reciprocal(g.Mul(joined, joined)), g.float(epsilon));
  return g.Add(g.Mul(running, g.float(momentum)), g.Mul(batch, g.float(1 - momentum)));
}
