import { UserError } from "../../graph-builder/errors.ts";

/** Throws UserError, which lists the known names, where a name is not one of them. */
export function expectName(name: string, known: readonly string[], what: "output" | "parameter"): void {
  if (known.includes(name)) return;
  throw new UserError(`There is no ${what} ${name}: there are ${known.join(", ")}.`, {
    code: what === "output" ? "output-unknown" : "parameter-unknown",
    details: { [what]: name, known },
  });
}

/** The error of a step whose model is missing. */
export function missingModel(kind: "eval" | "optimizer"): UserError {
  return new UserError(`The session has no ${kind} model.`, {
    code: "model-missing",
    details: { model: kind },
  });
}

/** The error of a parameter buffer with the wrong length; both numbers are bytes. */
export function wrongBuffer(wanted: number, given: number): UserError {
  return new UserError(`The parameters take ${wanted} bytes, and the buffer has ${given}.`, {
    code: "parameter-shape",
    details: { wanted, given },
  });
}
