import type { Tensor } from "onnxruntime-common";
import { at } from "../../graph-builder/at.ts";
import { type Dim, DimSymbol } from "../../graph-builder/dims.ts";
import { didYouMean, UserError } from "../../graph-builder/errors.ts";
import { type IndexRange, indexRanges } from "../../graph-builder/index-ranges.ts";
import type { Graph } from "../../graph-builder/ir.ts";
import { ownEntry } from "../../graph-builder/own-entry.ts";
import type { ValueType } from "../../graph-builder/types.ts";
import { shown } from "../../graph-builder/visible.ts";
import { ortType } from "../device/tensors.ts";

/** An input of a graph. */
export interface GraphInput {
  readonly name: string;
  /** Undefined where the type is not known; then it is not checked. */
  readonly type: ValueType | undefined;
  /** The whole numbers that it may hold, where the graph reads it as classes or as indices. */
  readonly ranges?: readonly IndexRange[] | undefined;
}

/** The inputs of a graph, in its order. */
export function graphInputs(graph: Graph): GraphInput[] {
  const ranges = indexRanges(graph);
  return graph.inputs.map(({ name = "", type }) => {
    const own = ranges.get(name);
    return own ? { name, type, ranges: own } : { name, type };
  });
}

/**
 * Checks the feeds of a graph against its inputs. Throws UserError, with the input's name, where one is
 * missing, of another type or shape, or empty, where two inputs disagree about the size that a symbol such as
 * `batch` stands for, and, with the row, where a label is no class or an index is outside its table.
 */
export function checkFeeds(inputs: readonly GraphInput[], feeds: Readonly<Record<string, Tensor>>): void {
  expectFeeds(inputs, feeds);
  const sizes = new Map<string, { readonly size: number; readonly input: string }>();
  for (const { name, type, ranges = [] } of inputs) {
    const tensor = givenTensor(name, feeds);
    if (type?.kind !== "tensor") continue;
    const wanted = ortType(type.elemType);
    if (tensor.type !== wanted) {
      throw new UserError(`The input ${name} is ${tensor.type}, and must be ${wanted}.`, {
        code: "input-type",
        details: { input: name, type: tensor.type, wanted },
      });
    }
    checkShape(name, tensor.dims, type.shape);
    for (const [axis, dim] of type.shape.entries()) {
      if (!(dim instanceof DimSymbol)) continue;
      const size = at(tensor.dims, axis);
      const known = sizes.get(dim.name);
      if (known && known.size !== size) {
        throw new UserError(
          `The inputs disagree about ${dim}: it is ${known.size} in ${known.input}, and ${size} in ${name}.`,
          {
            code: "input-shape",
            details: { input: name, symbol: dim.name, size, other: known.input, otherSize: known.size },
          },
        );
      }
      sizes.set(dim.name, { size, input: name });
    }
    if (tensor.location === "cpu") for (const range of ranges) checkRange(name, tensor, range);
  }
}

function expectFeeds(inputs: readonly GraphInput[], feeds: unknown): void {
  if (typeof feeds === "object" && feeds !== null) return;
  const names = inputs.map(({ name }) => name).join(", ");
  throw new UserError(`A step takes an object of tensors, { ${names} }, not ${shown(feeds)}.`, {
    code: "input-missing",
    details: { inputs: names },
  });
}

function givenTensor(name: string, feeds: Readonly<Record<string, Tensor>>): Tensor {
  const tensor = ownEntry(feeds, name);
  if (!tensor) {
    throw new UserError(`The input ${name} is missing.${didYouMean(name, Object.keys(feeds))}`, {
      code: "input-missing",
      details: { input: name, given: Object.keys(feeds) },
    });
  }
  if (Array.isArray(tensor.dims) && typeof tensor.location === "string") return tensor;
  throw new UserError(`The input ${name} is no tensor of ONNX Runtime.`, {
    code: "input-type",
    details: { input: name },
  });
}

function checkRange(input: string, { data, dims }: Tensor, range: IndexRange): void {
  const place = firstOutside(data, range);
  if (place < 0) return;
  const { kind, from, to, ignored } = range;
  const value = String(data[place]);
  const what = `The input ${input} has the ${kind === "class" ? "label" : "index"} ${value} ${placeOf(place, dims)}`;
  const others = ignored === undefined ? "" : `, and ${ignored} does not count`;
  throw new UserError(
    kind === "class"
      ? `${what}: the classes are ${from} to ${to}${others}.`
      : `${what}: the table that it reads has ${to + 1} rows.`,
    {
      code: kind === "class" ? "label-invalid" : "input-value",
      details: { input, value, index: place, from, to, ignored },
    },
  );
}

/** Whether feeds have every fixed size of a graph's inputs. */
export function haveSizes(inputs: readonly GraphInput[], feeds: Readonly<Record<string, Tensor>>): boolean {
  return inputs.every(({ name, type }) => {
    const dims = feeds[name]?.dims;
    return type?.kind !== "tensor" || (dims !== undefined && fitsShape(dims, type.shape));
  });
}

/** The index of the first number outside a range; -1 where there is none. */
function firstOutside(data: ArrayLike<unknown>, { from, to, ignored }: IndexRange): number {
  for (let i = 0; i < data.length; i++) {
    const number = Number(data[i]);
    if ((number < from || number > to) && number !== ignored) return i;
  }
  return -1;
}

/** The place of an element: its row, or all its indices. */
function placeOf(index: number, dims: readonly number[]): string {
  if (dims.length <= 1) return `in row ${index}`;
  let rest = index;
  const indices = dims.toReversed().map((dim) => {
    const own = rest % dim;
    rest = Math.floor(rest / dim);
    return own;
  });
  return `at [${indices.toReversed().join(", ")}]`;
}

function fitsShape(dims: readonly number[], wanted: readonly Dim[]): boolean {
  return (
    dims.length === wanted.length &&
    wanted.every((dim, axis) => typeof dim !== "number" || dim === dims[axis])
  );
}

function checkShape(input: string, dims: readonly number[], wanted: readonly Dim[]): void {
  const named = wanted.map((dim) => (typeof dim === "number" ? dim : String(dim)));
  const details = { input, shape: dims, wanted: named };
  if (!fitsShape(dims, wanted)) {
    throw new UserError(
      `The input ${input} has the shape [${dims.join(", ")}], and must have [${wanted.join(", ")}].`,
      { code: "input-shape", details },
    );
  }
  if (dims.every((dim, axis) => dim > 0 || wanted[axis] === 0)) return;
  throw new UserError(`The input ${input} is empty: its shape is [${dims.join(", ")}].`, {
    code: "input-shape",
    details,
  });
}
