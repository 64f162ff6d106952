/** A line of ONNX Runtime's sources, with the name or the whole C++ signature of the function behind it. */
const sourcePlace = /\S*\.(?:cc|cpp|h|hpp):\d+ (?:[^()\n]*::[^()\n]*\(.*?\) |\w+ (?=\S))/g;

/** The number and the name of a kind of error, in front of its message. */
const kindOfError = /\[ONNXRuntimeError\] : \d+ : \w+ : /g;

/**
 * The reason in an error of ONNX Runtime: its first line, without places in ONNX Runtime's sources and
 * without a full stop.
 */
export function ortReason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const [line = ""] = message.replace(/^\/\S+:\d+ .* was false\. /, "").split("\n", 1);
  const reason = line.replace(sourcePlace, "").replace(kindOfError, "").trim();
  return reason.replace(/\.$/, "");
}
