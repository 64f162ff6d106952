/**
 * The reason in an error of ONNX Runtime: its first line, without a place in ONNX Runtime's sources and
 * without a full stop.
 */
export function ortReason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const [reason = ""] = message.replace(/^\/\S+:\d+ .* was false\. /, "").split("\n", 1);
  return reason.replace(/\.$/, "");
}
