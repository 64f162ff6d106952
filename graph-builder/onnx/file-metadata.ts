import { parseModel } from "./parse.ts";
import { encodeMessage } from "./wire.ts";

/**
 * An .onnx file with more entries in its metadata, or other values in those that it has; everything else in
 * it stays as it is. `where` names the file in errors. Throws UserError where the bytes are no ONNX model.
 */
export function withMetadata(
  bytes: Uint8Array,
  entries: Readonly<Record<string, string>>,
  where = "the model",
): Uint8Array {
  const { metadataProps = [], ...model } = parseModel(bytes, where);
  const kept = metadataProps.filter(({ key = "" }) => !Object.hasOwn(entries, key));
  const added = Object.entries(entries).map(([key, value]) => ({ key, value }));
  return encodeMessage("ModelProto", { ...model, metadataProps: [...kept, ...added] });
}
