import type { Pack } from "../passes/fused-step/index.ts";
import { int64s } from "../tensor.ts";
import { elementCount } from "../types.ts";
import type { IGraph, INode } from "./model.ts";
import { AttributeType } from "./schema.ts";
import { encodeTensor } from "./tensors.ts";

/** The nodes around a step whose state is a pack, and the file has its members. */
export interface Packing {
  readonly constants: NonNullable<IGraph["initializer"]>;
  readonly before: INode[];
  readonly after: INode[];
}

/** The nodes that join a pack's tensors into one matrix, and that cut the next one into tensors. */
export function packing({ name, members, width }: Pack, next: string): Packing {
  const axis = { name: "axis", type: AttributeType.INT, i: 0 };
  const constant = (values: readonly number[], suffix: string) =>
    encodeTensor(int64s(values), `${name}.${suffix}`);
  const rows = members.map(({ dims }) => elementCount(dims) / width);
  const flat = (i: number) => `${name}.${i}`;
  return {
    constants: [
      constant([-1, width], "rows"),
      constant(rows, "sizes"),
      ...members.map(({ dims }, i) => constant(dims, `${i}.dims`)),
    ],
    before: [
      ...members.map((member, i) => reshape(member.name, `${name}.rows`, flat(i))),
      {
        name: `${name}/Concat`,
        opType: "Concat",
        input: members.map((_, i) => flat(i)),
        output: [name],
        attribute: [axis],
      },
    ],
    after: [
      {
        name: `${name}/Split`,
        opType: "Split",
        input: [next, `${name}.sizes`],
        output: members.map((_, i) => `${flat(i)}_next`),
        attribute: [axis],
      },
      ...members.map((member, i) => reshape(`${flat(i)}_next`, `${flat(i)}.dims`, nextName(member.name))),
    ],
  };
}

function reshape(value: string, shape: string, result: string): INode {
  return {
    name: `${result}/Reshape`,
    opType: "Reshape",
    input: [value, shape],
    output: [result],
    attribute: [],
  };
}

/** The name of the output that has the next contents of an input. */
export function nextName(input: string): string {
  return `${input}_next`;
}
