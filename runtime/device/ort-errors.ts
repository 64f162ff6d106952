/** Why ONNX Runtime refused something: the first line of its error, without the place in its sources that it puts in front of some. */
export function ortReason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const [reason = ""] = message.replace(/^\/\S+:\d+ .* was false\. /, "").split("\n", 1);
  return reason.replace(/\.$/, "");
}
