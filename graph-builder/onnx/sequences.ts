import { at } from "../at.ts";
import type { Builder } from "../builder.ts";
import type { Value } from "../ir.ts";
import { constantNumbers, normalAxis, refuse, staticDim, unsupported } from "../operators/inference.ts";
import { ownEntry } from "../own-entry.ts";
import type { DataType } from "../types.ts";
import type { ForeignNode } from "./import-forms/form.ts";
import { keepNode } from "./keep.ts";

/** The tensors of every sequence whose length is known, by the sequence. */
export type Sequences = Map<Value, readonly Value[]>;

/** What is known of a file while its nodes are read. */
interface File {
  readonly opsets: ReadonlyMap<string, number>;
  readonly sequences: Sequences;
}

/**
 * Reads a node that makes or reads a sequence of a known number of tensors. What reads a sequence gets its
 * tensors. The sequence itself is a node that is kept where something else needs it. Returns undefined for
 * other nodes. Throws UnsupportedError where the length or the position is not known.
 */
export function resolveSequence(g: Builder, node: ForeignNode, file: File): readonly Value[] | undefined {
  if (node.domain !== "") return undefined;
  const read = ownEntry(readers, node.opType);
  return read && g.within(node.name, () => read(g, node, file));
}

type Reader = (g: Builder, node: ForeignNode, file: File) => readonly Value[];

const readers: Readonly<Record<string, Reader>> = {
  SequenceConstruct: (g, node, file) => [
    sequence(
      g,
      node,
      node.inputs.map((_, i) => input(node, i)),
      file,
    ),
  ],
  SequenceInsert: (g, node, file) => {
    const members = membersOf(node, file);
    const count = members.length;
    const place = node.inputs[2] ? position(node, 2, count, count + 1) : count;
    return [sequence(g, node, members.toSpliced(place, 0, input(node, 1)), file)];
  },
  SequenceErase: (g, node, file) => {
    const members = membersOf(node, file);
    const erased = node.inputs[1] ? position(node, 1, members.length) : members.length - 1;
    return [sequence(g, node, members.toSpliced(erased, 1), file)];
  },
  SplitToSequence: (g, node, file) => [sequence(g, node, parts(g, node), file)],
  SequenceAt: (_, node, file) => {
    const members = membersOf(node, file);
    return [at(members, position(node, 1, members.length))];
  },
  SequenceLength: (g, node, file) => [g.int64(membersOf(node, file).length)],
  ConcatFromSequence: (g, node, file) => {
    const members = membersOf(node, file);
    const axis = Number(node.attributes["axis"] ?? refuse("attribute axis is missing"));
    const stacked = node.attributes["new_axis"]
      ? members.map((member) => g.Unsqueeze(member, g.int64([axis])))
      : members;
    return [g.Concat(...stacked, { axis })];
  },
};

/** The operators that make or read sequences of a known number of tensors. */
export const sequenceOperators: readonly string[] = Object.keys(readers);

function input({ inputs }: ForeignNode, index: number): Value {
  return inputs[index] ?? refuse(`input ${index} is missing`);
}

function membersOf(node: ForeignNode, { sequences }: File): readonly Value[] {
  return sequences.get(input(node, 0)) ?? unsupported("the length of the sequence is not known");
}

/** A position in a sequence of `count` tensors, below `end`; one below 0 counts from the last tensor. */
function position(node: ForeignNode, index: number, count: number, end = count): number {
  const place = at(constantNumbers(input(node, index), "position"), 0);
  const counted = place < 0 ? place + count : place;
  return counted >= 0 && counted < end ? counted : refuse(`a sequence of ${count} has no position ${place}`);
}

/** The tensors that SplitToSequence makes: of the given sizes, of one size, or slices of size 1. */
function parts(g: Builder, node: ForeignNode): readonly Value[] {
  const [data, split] = [input(node, 0), node.inputs[1]];
  const axis = normalAxis(Number(node.attributes["axis"] ?? 0), data.shape.length);
  const given = split ? constantNumbers(split, "split") : [1];
  const sizes = split?.shape.length === 1 ? given : chunks(staticDim(data.shape, axis), at(given, 0));
  const slices = sizes.length === 1 ? [data] : g.Split(data, g.int64(sizes), { axis });
  const isSqueezed = !split && node.attributes["keepdims"] === 0;
  return isSqueezed ? slices.map((slice) => g.Squeeze(slice, g.int64([axis]))) : slices;
}

function chunks(whole: number, size: number): number[] {
  return Array.from({ length: Math.ceil(whole / size) }, (_, i) => Math.min(size, whole - i * size));
}

/** The value of a sequence of tensors, whose node is kept until it is known whether something reads it. */
function sequence(g: Builder, node: ForeignNode, members: readonly Value[], file: File): Value {
  const elemType: DataType = members[0]?.elemType ?? unsupported("the sequence is empty");
  const kept = keepNode(
    g,
    {
      domain: "",
      opType: "SequenceConstruct",
      name: node.name,
      inputs: members,
      outputs: ["sequence"],
      declared: [{ kind: "sequence", elemType }],
      attributes: [],
      reason: `${node.opType} at ${node.name} makes a sequence that is not resolved`,
    },
    file.opsets,
  );
  const value = at(kept, 0);
  file.sequences.set(value, members);
  return value;
}
