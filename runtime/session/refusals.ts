import type { Tensor } from "onnxruntime-common";
import { expectBytes } from "../../artifacts/given-values.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { shown } from "../../graph-builder/visible.ts";
import { ortReason } from "../device/ort-errors.ts";

/** Throws UserError, which lists the known names, where a name is not one of them. */
export function expectName(name: string, known: readonly string[], what: "output" | "parameter"): void {
  if (known.includes(name)) return;
  const given = typeof name === "string" ? name : shown(name);
  throw new UserError(`There is no ${what} ${given}: there are ${known.join(", ")}.`, {
    code: what === "output" ? "output-unknown" : "parameter-unknown",
    details: { [what]: name, known },
  });
}

/** Throws UserError for what is no list of names, and for a list with a name that is not known. */
export function expectNames(what: string, names: unknown, known: readonly string[]): void {
  if (!Array.isArray(names)) {
    throw new UserError(`${what} must be a list of names, not ${shown(names)}.`, {
      code: "setting-invalid",
      details: { setting: what },
    });
  }
  for (const name of names) expectName(name, known, "output");
}

/** Throws UserError for a number of a random draw that is no bigint, or that int64 does not hold. */
export function expectStep(step: unknown): void {
  if (typeof step === "bigint" && step >= 0n && step < 2n ** 63n) return;
  throw new UserError(`randomStep must be a bigint from 0 below 2^63, not ${shown(step)}.`, {
    code: "setting-invalid",
    details: { setting: "randomStep", value: step },
  });
}

/** Throws UserError for what is no tensor of ONNX Runtime, for programs without types. */
export function expectTensor(what: string, given: unknown): void {
  if (typeof given === "object" && given !== null && "dims" in given && Array.isArray(given.dims)) return;
  throw new UserError(`${what} takes a tensor of ONNX Runtime, not ${shown(given)}.`, {
    code: "input-type",
    details: { parameter: what },
  });
}

/** Throws UserError for what is no device of openDevice or webDevice, such as a promise of one. */
export function expectOpenDevice(device: unknown): void {
  if (typeof device === "object" && device !== null && "ort" in device && "lowering" in device) return;
  const given = device instanceof Promise ? "a promise of one: await it" : shown(device);
  throw new UserError(`A session needs a device of openDevice or webDevice, not ${given}.`, {
    code: "device-unknown",
    details: {},
  });
}

/**
 * Throws UserError for an input or output that ONNX Runtime's JavaScript interface cannot pass: it keeps
 * tensors in plain objects, in which `__proto__` is no key.
 */
export function expectPassable(names: readonly string[], what: string): void {
  if (!names.includes("__proto__")) return;
  throw new UserError(
    `${what} has a tensor called __proto__, which ONNX Runtime cannot pass in JavaScript: rename it.`,
    { code: "model-unsupported", details: { model: what, tensor: "__proto__" } },
  );
}

/** The error of a step or an export whose model is missing. */
export function missingModel(kind: "eval" | "optimizer" | "source"): UserError {
  return new UserError(`The session has no ${kind} model.`, {
    code: "model-missing",
    details: { model: kind },
  });
}

/** Throws UserError where a tensor has another type or shape than the parameter that it is to replace. */
export function expectSameShape(
  parameter: string,
  { type, dims }: Pick<Tensor, "type" | "dims">,
  given: Pick<Tensor, "type" | "dims">,
): void {
  if (given.type === type && given.dims.join() === dims.join()) return;
  throw new UserError(
    `${parameter} is ${type} [${dims.join(", ")}] and cannot take ${given.type} [${given.dims.join(", ")}].`,
    {
      code: "parameter-shape",
      details: { parameter, type, shape: dims, given: { type: given.type, shape: given.dims } },
    },
  );
}

/** Throws UserError where a parameter is not float32, as those in one buffer are. */
export function expectFloat32(parameter: string, { type }: Pick<Tensor, "type">): void {
  if (type === "float32") return;
  throw new UserError(`${parameter} is ${type}, and only float32 parameters go into one buffer.`, {
    code: "parameter-type",
    details: { parameter, type },
  });
}

/** Throws UserError for a parameter buffer that is no bytes, or of another length. */
export function expectBuffer(buffer: Uint8Array, wanted: number): void {
  expectBytes("buffer", "The buffer of loadParametersBuffer", buffer);
  const given = buffer.byteLength;
  if (given === wanted) return;
  throw new UserError(`The parameters take ${wanted} bytes, and the buffer has ${given}.`, {
    code: "parameter-shape",
    details: { wanted, given },
  });
}

/** The error of an optimizer step before the gradients that it reads. */
export function missingGradients(): UserError {
  return new UserError("There are no gradients yet: call runTrainStep before runOptimizerStep.", {
    code: "gradients-missing",
  });
}

/** The error of a step that ONNX Runtime could not compute, such as one without enough memory. */
export function failedStep(cause: unknown): UserError {
  const reason = ortReason(cause);
  return new UserError(`ONNX Runtime could not compute the step: ${reason}.`, {
    code: "onnxruntime-failed",
    details: { reason },
    cause,
  });
}
