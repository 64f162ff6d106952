import { dataTypeNumbers } from "../operators/elementwise.ts";
import { decodeMetadataProps } from "./notes.ts";
import { parseModel } from "./parse.ts";
import type { Message } from "./schema.ts";

type IValueInfo = Message<"ValueInfoProto">;
type IType = Message<"TypeProto">;

/**
 * What an .onnx file says without regard to what its operators mean. Types are text, such as `float[batch,
 * 3]`.
 */
export interface Outline {
  readonly graph: string;
  readonly docString: string;
  readonly producerName: string;
  readonly irVersion: number;
  /** The version of every domain that is imported; that of ai.onnx is the empty one. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly inputs: Readonly<Record<string, string>>;
  readonly outputs: Readonly<Record<string, string>>;
  /**
   * How often each operator occurs, with the commonest first. Operators outside ai.onnx have their domain in
   * front.
   */
  readonly operators: Readonly<Record<string, number>>;
  readonly nodes: number;
  readonly initializers: { readonly tensors: number; readonly values: number };
  readonly metadataProps: Readonly<Record<string, string>>;
}

/**
 * Reads the outline of any .onnx file. `where` names the file in errors. Throws UserError where the bytes are
 * no ONNX model.
 */
export function decodeOutline(bytes: Uint8Array, where = "the model"): Outline {
  const { graph, ...model } = parseModel(bytes, where);
  const initializers = graph.initializer ?? [];
  // before IR version 4 initializers were inputs too
  const constants = new Set(initializers.map(({ name }) => name));
  const counts = new Map<string, number>();
  for (const { opType, domain } of graph.node ?? []) {
    const name = domain && domain !== "ai.onnx" ? `${domain}.${opType}` : String(opType);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return {
    graph: graph.name ?? "",
    docString: model.docString ?? "",
    producerName: model.producerName ?? "",
    irVersion: Number(model.irVersion),
    opsets: Object.fromEntries(
      (model.opsetImport ?? []).map(({ domain, version }) => [domain ?? "", Number(version)]),
    ),
    inputs: valueTypes((graph.input ?? []).filter(({ name }) => !constants.has(name))),
    outputs: valueTypes(graph.output ?? []),
    operators: Object.fromEntries([...counts].sort(([, a], [, b]) => b - a)),
    nodes: (graph.node ?? []).length,
    initializers: {
      tensors: initializers.length,
      values: initializers.reduce(
        (sum, { dims }) => sum + (dims ?? []).reduce<number>((size, dim) => size * Number(dim), 1),
        0,
      ),
    },
    metadataProps: decodeMetadataProps(model.metadataProps),
  };
}

function valueTypes(values: readonly IValueInfo[]): Record<string, string> {
  return Object.fromEntries(values.map(({ name, type }) => [name ?? "", formatProtoType(type)]));
}

/** A type as text; an unknown dimension is `?`. */
function formatProtoType(type: IType | null | undefined): string {
  if (type?.sequenceType) return `sequence of ${formatProtoType(type.sequenceType.elemType)}`;
  if (type?.optionalType) return `optional ${formatProtoType(type.optionalType.elemType)}`;
  if (type?.mapType) return `map to ${formatProtoType(type.mapType.valueType)}`;
  const tensor = type?.tensorType ?? type?.sparseTensorType;
  if (!tensor) return "unknown";
  const elemType = dataTypeName(tensor.elemType ?? 0);
  if (!tensor.shape) return `${elemType} of unknown shape`;
  const dims = (tensor.shape.dim ?? []).map(
    ({ dimParam, dimValue }) =>
      dimParam || (dimValue === null || dimValue === undefined ? "?" : String(dimValue)),
  );
  return `${elemType}[${dims.join(", ")}]`;
}

function dataTypeName(number: number): string {
  return Object.entries(dataTypeNumbers).find(([, known]) => known === number)?.[0] ?? `data type ${number}`;
}
