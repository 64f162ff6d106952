import { UserError } from "../errors.ts";
import { tooManyCalls } from "./function-limits.ts";
import type { Message, MessageName } from "./schema.ts";
import { decodeMessage, UnknownFieldError } from "./wire.ts";

/** A model's message that holds a graph. */
export type ParsedModel = Message<"ModelProto"> & { readonly graph: Message<"GraphProto"> };

/** The messages of which `decode.ts` keeps only the fields that it reads: any other field would be lost. */
export const messagesReadWhole = new Set<string>([
  "AttributeProto",
  "TensorProto",
  "TypeProto",
  "TensorType",
  "SequenceType",
  "TensorShapeProto",
  "Dimension",
  "OperatorSetIdProto",
  "StringStringEntryProto",
  "FunctionProto",
] satisfies readonly MessageName[]);

/**
 * The message in an .onnx file's bytes. `where` names the file in errors. Throws UserError where the bytes
 * are no ONNX model, where a message of `refusing` has a field that the schema lacks, and where the graph has
 * no nodes or its functions stand for more of them than can be written out.
 */
export function parseModel(bytes: Uint8Array, where: string, refusing?: ReadonlySet<string>): ParsedModel {
  const { graph, ...model } = decode(bytes, where, refusing);
  if (!graph)
    throw new UserError(`${where} is not an ONNX model: it holds no graph.`, { code: "model-damaged" });
  const reason = graph.node ? tooManyCalls({ ...model, graph }) : "its graph has no nodes";
  if (reason === undefined) return { ...model, graph };
  throw new UserError(`${where} cannot be used: ${reason}.`, {
    code: "model-unsupported",
    details: { where },
  });
}

function decode(bytes: Uint8Array, where: string, refusing?: ReadonlySet<string>): Message<"ModelProto"> {
  try {
    return decodeMessage("ModelProto", bytes, refusing);
  } catch (error) {
    if (error instanceof UnknownFieldError) {
      const message = `${where} cannot be used: ${error.message}.`;
      throw new UserError(message, { code: "model-unsupported", cause: error, details: { where } });
    }
    const message = `${where} is not an ONNX model, or it is cut off.`;
    throw new UserError(message, { code: "model-damaged", cause: error });
  }
}
