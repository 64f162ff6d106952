import { decodeMetadataProps } from "./notes.ts";
import { messagesReadWhole, parseModel } from "./parse.ts";

/**
 * The metadata in an .onnx file's bytes, of whatever operators. Throws UserError where they are no ONNX
 * model.
 */
export function decodeMetadata(bytes: Uint8Array, where = "the model"): Record<string, string> {
  return decodeMetadataProps(parseModel(bytes, where, messagesReadWhole).metadataProps);
}
