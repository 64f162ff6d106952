import type { Builder } from "../../builder.ts";
import type { Value } from "../../ir.ts";
import type { ParameterGroup } from "./parameter-groups.ts";
import { type CommonUpdate, momentRole, sumOverParameters } from "./update.ts";

/** A group of parameters as matrices, by the roles of the update. */
export interface GroupValues {
  readonly group: ParameterGroup;
  readonly values: ReadonlyMap<string, Value>;
}

/** The matrices of a group by their roles: `weights`, `gradient`, `momentum`. */
export function groupValues(
  group: ParameterGroup,
  moments: number,
  matrices: ReadonlyMap<string, Value>,
  gradient: Value,
): GroupValues {
  const values = new Map<string, Value>([["gradient", gradient]]);
  for (const [i, { name }] of group.packs.entries()) {
    const value = matrices.get(name);
    if (value) values.set(i === 0 ? "weights" : momentRole(i - 1, moments), value);
  }
  return { group, values };
}

/**
 * Appends the update of all groups. A sum over all parameters, such as the squared norm of their gradients,
 * is made from the groups' matrices, and what follows from it alone is computed once. Returns the next of
 * each pack by its name.
 */
export function appendUpdate(
  g: Builder,
  update: CommonUpdate,
  groups: readonly GroupValues[],
): [string, Value][] {
  const common = new Map<Value, Value>();
  const translators = new Map<ParameterGroup, (value: Value) => Value>();
  const sumOf = ([part]: readonly Value[], whole: Value) => {
    if (!part) throw new Error("a sum has no inputs");
    const sums = groups.map(({ group }) =>
      g.ReduceSum(translators.get(group)?.(part) ?? part, null, { keepdims: 0 }),
    );
    const sum = g.Sum(...sums);
    common.set(whole, sum);
    return sum;
  };
  for (const { group, values } of groups) {
    translators.set(group, translator(g, update, values, common, sumOf));
  }
  return groups.flatMap(({ group }) =>
    group.made.map((value, i): [string, Value] => [
      group.packs[i]?.name ?? "",
      translators.get(group)?.(value) ?? value,
    ]),
  );
}

/** Returns the function that appends what computes a value of one parameter, for a whole group. */
function translator(
  g: Builder,
  { roles }: CommonUpdate,
  values: ReadonlyMap<string, Value>,
  common: Map<Value, Value>,
  sumOf: (parts: readonly Value[], whole: Value) => Value,
): (value: Value) => Value {
  const own = new Map<Value, Value>();
  const made = (value: Value): Value => {
    const { producer, constant, name = "", type } = value;
    if (constant) return g.constant(constant);
    if (!producer) {
      const matrix = values.get(roles.get(name) ?? "");
      return matrix ?? g.graph.inputs.find((input) => input.name === name) ?? g.inputOf(name, type);
    }
    const parts = sumOverParameters(value);
    if (parts) return sumOf(parts, value);
    const given = producer.inputs.map((input) => input && translate(input));
    return g.copy(producer, given).output(0);
  };
  const translate = (value: Value): Value => {
    const done = own.get(value) ?? common.get(value);
    if (done) return done;
    const result = made(value);
    (isCommon(value, roles) ? common : own).set(value, result);
    return result;
  };
  return translate;
}

/** Whether a value follows from no single parameter's tensors, but perhaps from a sum over all of them. */
function isCommon(value: Value, roles: ReadonlyMap<string, string>): boolean {
  if (value.constant || sumOverParameters(value)) return true;
  const { producer, name = "" } = value;
  if (!producer) return !roles.has(name);
  return producer.inputs.every((input) => !input || isCommon(input, roles));
}
