import { createHash } from "node:crypto";
import { didYouMean, UserError } from "../../../../graph-builder/errors.ts";
import type { ListedPicture, PictureListing, PictureSplit } from "./listing.ts";

/** How a data set without a folder of validation is divided. */
export interface DivisionOptions {
  /** The share of each class that is held out. */
  readonly valSplit: number;
  readonly splitSeed: number;
}

/**
 * The names of the classes, in the order of their numbers: those of the training pictures, sorted, or
 * `known`. Throws UserError for a class without pictures, for a single class, and for a class that validation
 * has and training has not.
 */
export function classesOf(
  { pictures, empty }: PictureListing,
  path: string,
  known?: readonly string[],
): readonly string[] {
  const trained = new Set(pictures.filter(({ split }) => isTraining(split)).map(({ label }) => label));
  const bare = empty.find(({ split, label }) => isTraining(split) && !trained.has(label));
  if (bare && known === undefined) {
    throw wrong(`The class ${bare.label} of ${path} has no pictures: fill its folder or remove it.`, {
      class: bare.label,
    });
  }
  const names = known ?? [...trained].sort();
  const stranger = pictures.find(({ label }) => !names.includes(label));
  if (stranger) {
    const { label, split } = stranger;
    const owner = known === undefined ? "the training pictures have not" : "the model does not know";
    throw wrong(
      `${path} has a class ${label}${split === undefined ? "" : ` in ${split}`}, which ${owner}.${didYouMean(label, names)}`,
      { class: label, split },
    );
  }
  if (names.length < 2) {
    throw wrong(
      names.length === 0
        ? `${path} has no training pictures.`
        : `${path} has a single class, ${names[0]}: a classifier needs two folders of classes or more.`,
      { classes: names.length },
    );
  }
  return names;
}

function isTraining(split: PictureSplit | undefined): boolean {
  return split === undefined || split === "train";
}

function wrong(message: string, details: Readonly<Record<string, unknown>>): UserError {
  return new UserError(message, { code: "data-invalid", details });
}

/** A picture file with the SHA-256 of its content. */
export interface HashedPicture extends ListedPicture {
  readonly hash: string;
  /** Why the picture cannot be read. */
  readonly fault?: string | undefined;
}

/**
 * The split of every picture. Where none is of validation, a part of each class of the training pictures is
 * held out: those whose hash, with the seed, comes first. So the part depends on the contents of the pictures
 * and on the seed alone, and equal files are in the same part.
 */
export function divide(
  pictures: readonly HashedPicture[],
  { valSplit, splitSeed }: DivisionOptions,
): readonly PictureSplit[] {
  const splits = pictures.map(({ split }) => split ?? "train");
  if (splits.includes("val") || valSplit === 0) return splits;
  const byClass = new Map<string, { readonly at: number; readonly rank: string }[]>();
  for (const [at, { label, hash, fault }] of pictures.entries()) {
    if (splits[at] !== "train" || fault !== undefined) continue;
    const members = byClass.get(label) ?? [];
    if (members.length === 0) byClass.set(label, members);
    members.push({ at, rank: createHash("sha256").update(`${splitSeed} ${hash}`).digest("hex") });
  }
  for (const members of byClass.values()) {
    members.sort((a, b) => (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : a.at - b.at));
    const wanted = Math.min(members.length - 1, Math.max(1, Math.round(members.length * valSplit)));
    const last = members[wanted - 1]?.rank;
    const isAll = members.every(({ rank }, i) => i < wanted || rank === last);
    for (const [i, { at, rank }] of members.entries()) {
      if (i < wanted || (rank === last && !isAll)) splits[at] = "val";
    }
  }
  return splits;
}
