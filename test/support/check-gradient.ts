import {
  appendGradients,
  at,
  type Builder,
  createBuilder,
  type DataType,
  dataTypeNumbers,
  type GivenShape,
  Graph,
  type Lowering,
  lowerGraph,
  portable,
  Tensor,
  type Value,
} from "../../graph-builder/index.ts";
import { tensorOf } from "../../graph-builder/tensor.ts";
import { type Input, isSized, normal } from "./random-tensor.ts";
import { numbersOf, openGraph, runGraph } from "./run-graph.ts";

/** A graph. Its gradients are checked with respect to every float input, or to the inputs in `targets`. */
export interface Case<K extends string = string> {
  readonly inputs: Readonly<Record<K, Input>>;
  readonly build: (g: Builder, inputs: Readonly<Record<K, Value>>) => Value | readonly Value[];
  readonly targets?: readonly string[];
  /** The step of the central differences. Outputs with kinks need a smaller one. */
  readonly step?: number;
  readonly tolerance?: number;
}

/** The graph of a case and its values. The outputs are named y0, y1, ... */
export interface Forward {
  readonly g: Builder;
  readonly values: Readonly<Record<string, Value>>;
  readonly outputs: readonly Value[];
}

/** The forward graph of a case; its float inputs and constants are of the type `float`. */
export function forwardOf(
  { inputs, build }: Case,
  float: "float" | "double" | "float16" | "bfloat16" = "float",
): Forward {
  const g = createBuilder(new Graph("case"));
  const values = Object.fromEntries(
    Object.entries(inputs).map(
      ([
        name,
        {
          shape,
          tensor: { elemType },
        },
      ]) => [name, g.input(name, elemType === "float" ? float : elemType, shape)],
    ),
  );
  const outputs = withFloats(g, float, () => [build(g, values)].flat());
  return { g, values, outputs: outputs.map((value, i) => g.output(value, `y${i}`)) };
}

/** Runs `build` while the builder's float constants are of another floating type. */
function withFloats<T>(g: Builder, elemType: DataType, build: () => T): T {
  const value = (values: number | readonly number[], dims?: readonly number[]) =>
    g.constant(tensorOf(elemType, values, dims));
  Object.defineProperty(g, "float", { value, configurable: true });
  try {
    return build();
  } finally {
    Reflect.deleteProperty(g, "float");
  }
}

/**
 * The op_types of the lowered graph of a case and its gradients where all its floats are of another type.
 * Throws ShapeError where a rule mixes types.
 */
export function typedGradients(
  test: Case,
  float: "double" | "float16",
  lowering: Lowering = portable,
): string[] {
  return lowerGraph(gradientsIn(test, float).graph, lowering).nodes.map(({ opType }) => opType);
}

/** The graph of the gradients of the sum of a case's outputs, and the targets, where floats are of a type. */
function gradientsIn(test: Case, float: "float" | "double" | "float16") {
  const { g, values, outputs } = forwardOf(test, float);
  const sums = outputs.map((output) => g.ReduceSum(output, null, { keepdims: 0 }));
  // layer normalisation's mean and deviation are floats
  const terms = sums.map((sum) => g.Cast(sum, { to: dataTypeNumbers[float] }));
  const targets = targetsOf(test, values).map(({ value }) => value);
  for (const [i, gradient] of appendGradients(g, g.Sum(...terms), targets).entries())
    g.output(gradient, `gradient${i}`);
  return { graph: g.graph, count: targets.length };
}

/**
 * The largest difference, by the norms, between the gradients of a case in float16 and in float: relative to
 * the gradient, or to 1.
 */
export async function float16Difference(test: Case, lowering: Lowering): Promise<number> {
  const gradientsOf = async (float: "float" | "float16") => {
    const { graph, count } = gradientsIn(test, float);
    const inputs = Object.entries(test.inputs).map(([name, { tensor }]) => {
      const isFloat = tensor.elemType === "float";
      return [name, isFloat ? tensorOf(float, tensor.numbers(), tensor.dims) : tensor] as const;
    });
    const results = await runGraph(graph, Object.fromEntries(inputs), lowering);
    return Array.from({ length: count }, (_, i) => numbersOf(results, `gradient${i}`));
  };
  const [halves, floats] = [await gradientsOf("float16"), await gradientsOf("float")];
  const norm = (numbers: readonly number[]) => Math.hypot(...numbers);
  const differences = floats.map((exact, i) => {
    const difference = exact.map((value, k) => value - at(at(halves, i), k));
    return norm(difference) / Math.max(1, norm(exact));
  });
  return Math.max(...differences);
}

/**
 * Checks the gradients of a case by random projection. For random u and v the central difference
 * (<u, Y(x + h v)> - <u, Y(x - h v)>) / 2h must equal <v, J'u>, where J'u is the gradient of the loss <u, Y>
 * from appendGradients. Returns a sentence for every input for which the two numbers differ.
 */
export async function gradientErrors(label: string, test: Case, lowering?: Lowering): Promise<string[]> {
  const { g, values, outputs } = forwardOf(test);
  const targets = targetsOf(test, values);
  const inputs = Object.fromEntries(Object.entries(test.inputs).map(([name, { tensor }]) => [name, tensor]));
  const isKnown = outputs.every(({ shape }) => shape.every(isSized));
  const results = isKnown ? {} : await runGraph(g.graph, inputs, lowering);
  const probes = outputs.map(({ shape }, i) => probe(`${label}, y${i}`, results[`y${i}`]?.dims ?? shape));
  const terms = outputs.map((output, i) => {
    const u = g.input(`u${i}`, "float", output.shape);
    return g.ReduceSum(g.Mul(output, u), null, { keepdims: 0 });
  });
  const gradients = appendGradients(
    g,
    g.Sum(...terms),
    targets.map(({ value }) => value),
  );
  for (const [i, gradient] of gradients.entries()) g.output(gradient, `gradient${i}`);
  const feeds = Object.fromEntries([
    ...Object.entries(inputs),
    ...probes.map((probe, i) => [`u${i}`, probe] as const),
  ]);

  const session = await openGraph(g.graph, lowering);
  try {
    const analytic = await session.run(feeds);
    const project = async (name: string, tensor: Tensor) => {
      const results = await session.run({ ...feeds, [name]: tensor });
      return probes.reduce((sum, u, i) => sum + dot(u.numbers(), numbersOf(results, `y${i}`)), 0);
    };
    const errors: string[] = [];
    const { step = 2 ** -6, tolerance = 5e-3 } = test;
    for (const [i, { name, tensor }] of targets.entries()) {
      const v = directionOf(`${label}, d${name}`, tensor);
      const up = await project(name, moved(tensor, v, step));
      const down = await project(name, moved(tensor, v, -step));
      const numeric = (up - down) / (2 * step);
      const backward = dot(numbersOf(analytic, `gradient${i}`), v);
      // a NaN must fail, so the comparison is negated
      if (!(Math.abs(numeric - backward) <= tolerance * Math.max(1, Math.abs(numeric)))) {
        errors.push(`${label}: d${name} projects to ${backward}, central differences to ${numeric}`);
      }
    }
    return errors;
  } finally {
    await session.release();
  }
}

interface Target {
  readonly name: string;
  readonly value: Value;
  readonly tensor: Tensor;
}

function targetsOf({ inputs, targets }: Case, values: Forward["values"]): Target[] {
  const unknown = targets?.find((name) => !Object.hasOwn(inputs, name));
  // a case without a target would always pass
  if (unknown !== undefined) throw new Error(`the case has no input ${unknown}`);
  return Object.entries(inputs).flatMap(([name, { tensor }]) => {
    const value = values[name];
    const isTarget = targets?.includes(name) ?? tensor.elemType === "float";
    return value && isTarget ? [{ name, value, tensor }] : [];
  });
}

/** Standard normal numbers that follow from the name. */
function probe(name: string, shape: GivenShape): Tensor {
  const input = normal(shape);
  return (input.named?.(name) ?? input).tensor;
}

/** A random direction with entries in [-1, 1]. */
function directionOf(name: string, { dims }: Tensor): number[] {
  return probe(name, dims)
    .numbers()
    .map((v) => Math.max(-1, Math.min(1, v)));
}

function moved({ dims, data }: Tensor, v: readonly number[], step: number): Tensor {
  return new Tensor(
    "float",
    dims,
    Float32Array.from(v, (direction, i) => Number(data[i]) + step * direction),
  );
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, x, i) => sum + x * at(b, i), 0);
}
