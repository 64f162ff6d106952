import { at } from "../../at.ts";
import { type Builder, createBuilder } from "../../builder.ts";
import { type Graph, isOp, type Node, type Value } from "../../ir.ts";
import { dataTypeNumbers, dataTypeOf } from "../../operators/elementwise.ts";
import { float16Bits, type NumericType, Tensor } from "../../tensor.ts";
import type { DataType } from "../../types.ts";
import type { Pass } from "../pass.ts";
import { removeDeadCode } from "../remove-dead-code.ts";
import { rewriteGraph } from "../rewrite.ts";
import { uniqueNames } from "../unique-names.ts";

export type Precision = Extract<NumericType, "float16" | "float" | "double">;

/**
 * Returns the pass that makes a graph compute in a floating-point type. Constants are rounded to that type,
 * and every Cast to a floating-point type becomes a Cast to it. Inputs and outputs keep their types; a Cast
 * converts them. The pass throws TypeError for a float16 constant where `precision` is another type.
 */
export function withPrecision(precision: Precision): Pass {
  return { name: `precision-${precision}`, run: (graph) => convert(graph, precision) };
}

function convert(graph: Graph, precision: Precision): Graph {
  const constants = new Map<Value, Value>();
  const constantOf = (g: Builder, value: Value | null): Value | null => {
    if (!value?.constant || !isFloating(value.elemType) || value.elemType === precision) return value;
    const known = constants.get(value) ?? g.constant(rounded(value.constant, precision), value.name);
    constants.set(value, known);
    return known;
  };
  const to = dataTypeNumbers[precision];
  const converted = rewriteGraph(
    graph,
    (node, inputs, g) => {
      const [input] = inputs;
      if (input && isFloatingCast(node)) {
        return input.elemType === precision ? [input] : g.node("Cast", [input], { to }, node.name).outputs;
      }
      const values = inputs.map((value) => constantOf(g, value));
      return g.copy(node, values, node.name, convertAttributes(node, precision)).outputs;
    },
    (input, g) => {
      const value = g.inputOf(input.name ?? "", input.type);
      return isFloating(value.elemType) && value.elemType !== precision ? g.Cast(value, { to }) : value;
    },
  );
  return uniqueNames.run(removeDeadCode.run(withOutputsOf(graph, converted)));
}

function convertAttributes({ attributes }: Node, precision: Precision): Record<string, unknown> {
  const converted = Object.entries(attributes).map(([name, value]: [string, unknown]) => [
    name,
    value instanceof Tensor && isFloating(value.elemType) ? rounded(value, precision) : value,
  ]);
  return Object.fromEntries(converted);
}

function isFloatingCast(node: Node): boolean {
  return isOp(node, "Cast") && isFloating(dataTypeOf(node.attributes.to));
}

function isFloating(elemType: DataType): boolean {
  return ["float16", "float", "double"].includes(elemType);
}

/** Casts the outputs of the converted graph back to the types that they have in `graph`. */
function withOutputsOf(graph: Graph, converted: Graph): Graph {
  const g = createBuilder(converted);
  const outputs = converted.outputs.splice(0);
  for (const [i, value] of outputs.entries()) {
    const { elemType, name = "" } = at(graph.outputs, i);
    if (elemType !== value.elemType) value.name = undefined;
    g.output(elemType === value.elemType ? value : g.Cast(value, { to: dataTypeNumbers[elemType] }), name);
  }
  return converted;
}

/** Throws TypeError for a float16 tensor in another precision. */
function rounded(tensor: Tensor, precision: Precision): Tensor {
  const { elemType, dims, data } = tensor;
  if (elemType === precision) return tensor;
  if (!(data instanceof Float32Array || data instanceof Float64Array)) {
    throw new TypeError(`a ${elemType} constant cannot be converted to ${precision}`);
  }
  if (precision === "double") return new Tensor(precision, dims, new Float64Array(data));
  if (precision === "float") return new Tensor(precision, dims, new Float32Array(data));
  return new Tensor(precision, dims, Uint16Array.from(data, float16Bits));
}
