/** The identifier of ONNX Runtime's checkpoint, which is a FlatBuffer: its bytes 4 to 7. */
export const CHECKPOINT_IDENTIFIER = "ODTC";

/** Whether the bytes of a file begin as those of a checkpoint. */
export function isCheckpoint(bytes: Uint8Array): boolean {
  return String.fromCharCode(...bytes.subarray(4, 8)) === CHECKPOINT_IDENTIFIER;
}
