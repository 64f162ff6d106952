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

/** Labels of pictures. */
export function labelsOf(pictures: readonly LabelledPicture[]): Uint8Array {
  return Uint8Array.from(pictures, ({ label }) => label);
}

/** How many of the predictions are right. */
export function countRight(labels: Uint8Array, predictions: Uint8Array): number {
  return predictions.filter((predicted, i) => predicted === at(labels, i)).length;
}
