import { at } from "../../../graph-builder/at.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import type { OwnClass } from "./own-classes.ts";

/** A picture of a class, by the place of the class in the order of the names. */
export interface LabelledPicture {
  readonly id: number;
  readonly label: number;
}

/** Which pictures are learnt, and which are held out. */
export interface Division {
  /** Sorted, as `shake train --data` sorts the folders of an archive. */
  readonly classNames: readonly string[];
  readonly learnt: readonly LabelledPicture[];
  readonly heldOut: readonly LabelledPicture[];
}

const FEWEST = 2;

/** Of every five pictures of a class the fourth is held out: one of four, two of ten. */
function isHeldOut(place: number): boolean {
  return place % 5 === 3;
}

/** The pictures of a class that are learnt, by their ids. */
export function learntIn({ pictures }: Pick<OwnClass, "pictures">): number[] {
  return pictures.filter((_, place) => !isHeldOut(place));
}

/**
 * Divides the pictures of the classes that have any. Throws UserError where fewer than two classes have two
 * pictures, and where a class has one alone.
 */
export function divide(classes: readonly OwnClass[]): Division {
  const filled = classes
    .filter(({ pictures }) => pictures.length > 0)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const scarce = filled.find(({ pictures }) => pictures.length < FEWEST);
  if (filled.length < 2 || scarce) {
    const what = scarce ? `${scarce.name} has one picture` : "There are not two classes with pictures yet";
    throw new UserError(`${what}: give each class at least ${FEWEST}, better ten.`, { code: "data-missing" });
  }
  const labelled = filled.flatMap(({ pictures }, label) =>
    pictures.map((id, place) => ({ id, label, isHeldOut: isHeldOut(place) })),
  );
  return {
    classNames: filled.map(({ name }) => name),
    learnt: labelled.filter((each) => !each.isHeldOut),
    heldOut: labelled.filter((each) => each.isHeldOut),
  };
}

/** The same pictures, one of each class after the other. */
export function inTurns(pictures: readonly LabelledPicture[]): LabelledPicture[] {
  const counts = new Map<number, number>();
  const turns = pictures.map((picture) => {
    const turn = counts.get(picture.label) ?? 0;
    counts.set(picture.label, turn + 1);
    return { picture, turn };
  });
  return turns.toSorted((a, b) => a.turn - b.turn).map(({ picture }) => picture);
}

/**
 * The labels of the pictures that have a value, and the values, in one order. A picture that was removed
 * meanwhile has none.
 */
export function labelled<T>(
  pictures: readonly LabelledPicture[],
  values: ReadonlyMap<number, T>,
): { readonly labels: Uint8Array; readonly values: readonly T[] } {
  const found = pictures.flatMap(({ id, label }) => {
    const value = values.get(id);
    return value === undefined ? [] : [{ label, value }];
  });
  return {
    labels: Uint8Array.from(found, ({ label }) => label),
    values: found.map(({ value }) => value),
  };
}

/** Throws UserError where no label is that of a class, whose pictures were removed meanwhile. */
export function expectEveryClass(classNames: readonly string[], labels: Uint8Array): void {
  const missing = classNames.find((_, label) => !labels.includes(label));
  if (missing === undefined) return;
  throw new UserError(`The pictures of ${missing} were removed while the training began: train again.`, {
    code: "data-missing",
  });
}

/** Pictures of one size as one array. */
export function joined(pictures: readonly Uint8Array[]): Uint8Array {
  return joinedInto(new Uint8Array(lengthOf(pictures)), pictures);
}

/** The features of pictures as one array. */
export function joinedFeatures(features: readonly Float32Array[]): Float32Array {
  return joinedInto(new Float32Array(lengthOf(features)), features);
}

function lengthOf(parts: readonly { readonly length: number }[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

function joinedInto<T extends Uint8Array | Float32Array>(whole: T, parts: readonly T[]): T {
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** How many of the predictions are right. */
export function countRight(labels: Uint8Array, predictions: Uint8Array): number {
  return predictions.filter((predicted, i) => predicted === at(labels, i)).length;
}
