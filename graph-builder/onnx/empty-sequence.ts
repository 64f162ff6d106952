import { encodeType } from "./type-proto.ts";
import { encodeMessage } from "./wire.ts";

/**
 * The bytes of a model with one more output in front of the others: an empty sequence of tensors. Protobuf
 * merges the messages of bytes that are joined, so the new node and output come first, and the model is
 * neither read nor copied field by field.
 */
export function withEmptySequence(model: Uint8Array, name: string): Uint8Array {
  const front = encodeMessage("ModelProto", {
    graph: {
      node: [{ opType: "SequenceEmpty", name, output: [name] }],
      output: [{ name, type: encodeType({ kind: "sequence", elemType: "float" }) }],
    },
  });
  const joined = new Uint8Array(front.length + model.length);
  joined.set(front);
  joined.set(model, front.length);
  return joined;
}
