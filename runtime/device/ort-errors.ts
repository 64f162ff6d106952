import { UserError } from "../../graph-builder/errors.ts";
import type { Device } from "./device.ts";

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

/**
 * The error where a device does not open a model: with ONNX Runtime's reason, and the device's advice, unless
 * the reason is an operator that the device does not compute in the type of its inputs.
 */
export function cannotRun({ name, advice }: Pick<Device, "name" | "advice">, cause: unknown): UserError {
  const reason = ortReason(cause);
  const next = reason.startsWith("Could not find an implementation for")
    ? "try another device, or convert the model to float32"
    : advice;
  return new UserError(`The device ${name} cannot run the model (${reason}); ${next}.`, {
    cause,
    code: "device-refused",
    details: { device: name, reason },
  });
}
