import { UserError } from "../../graph-builder/errors.ts";

/** Throws UserError, listing what is known, for another name. */
export function expectName(name: string, known: readonly string[], what: "output" | "parameter"): void {
  if (known.includes(name)) return;
  throw new UserError(`There is no ${what} ${name}: there are ${known.join(", ")}.`, {
    code: what === "output" ? "output-unknown" : "parameter-unknown",
    details: { [what]: name, known },
  });
}

/** Refuses a step for which there is no model. */
export function missingModel(kind: "eval" | "optimizer"): UserError {
  return new UserError(`The session has no ${kind} model.`, {
    code: "model-missing",
    details: { model: kind },
  });
}

/** Refuses a buffer for all parameters; both numbers are bytes. */
export function wrongBuffer(wanted: number, given: number): UserError {
  return new UserError(`The parameters take ${wanted} bytes, and the buffer has ${given}.`, {
    code: "parameter-shape",
    details: { wanted, given },
  });
}
