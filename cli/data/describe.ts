import { visibleName } from "../../graph-builder/visible.ts";
import type { OwnPicture, OwnPictures, PictureSplit } from "../../runtime/node/index.ts";
import { formatTable } from "../format.ts";

const splits: readonly { readonly split: PictureSplit; readonly title: string }[] = [
  { split: "train", title: "train" },
  { split: "val", title: "validation" },
  { split: "test", title: "test" },
];

/** The share of the mean number of pictures below which a class is called rare. */
const rare = 0.1;

/** How many broken pictures are listed where not all are asked for. */
const listed = 5;

/** The pictures of each class and split, as a table. */
export function countsTable(own: OwnPictures): string {
  const used = splits.filter(({ split }) => own.split(split).length > 0);
  const counts = used.map(({ split }) => own.counts(split));
  const rows = own.classNames.map((name, i) => [name, ...counts.map((each) => each[i] ?? 0)]);
  return formatTable(["class", ...used.map(({ title }) => title)], rows);
}

/** Sentences about what is wrong with pictures, or unusual. All broken ones are listed where asked for. */
export function warningsOf(own: OwnPictures, listsAll = false): string[] {
  const sentences = [
    ...own.notices,
    ...classWarnings(own),
    ...duplicateWarnings(own),
    ...brokenWarnings(own, listsAll),
  ];
  return sentences.map(visibleName);
}

/** Sentences about single pictures: what is left out, equal and broken ones. */
export function pictureFaults(own: OwnPictures): string[] {
  const [first, ...listed] = brokenWarnings(own, false);
  const broken = first === undefined ? [] : [`${first} ${listed.map((line) => line.trim()).join("; ")}.`];
  return [...own.notices, ...duplicateWarnings(own), ...broken];
}

function classWarnings(own: OwnPictures): string[] {
  const counts = own.counts("train");
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  const measured = own.counts("val");
  return own.classNames.flatMap((name, i) => {
    const count = counts[i] ?? 0;
    const pictures = count === 1 ? "1 training picture" : `${count} training pictures`;
    const few =
      count < rare * mean
        ? [`The class ${name} is rare: ${pictures}, and ${Math.round(mean)} on average.`]
        : [];
    const unmeasured =
      own.split("val").length > 0 && measured[i] === 0
        ? [`The class ${name} has no validation picture: its accuracy is not measured.`]
        : [];
    return [...few, ...unmeasured];
  });
}

/** A picture content that occurs more than once. */
export interface Duplicates {
  readonly names: readonly string[];
  readonly splits: readonly PictureSplit[];
  readonly labels: readonly string[];
}

/** The contents that several files have. */
export function duplicatesIn(own: OwnPictures): Duplicates[] {
  const byHash = new Map<string, OwnPicture[]>();
  for (const picture of own.pictures) {
    if (picture.fault !== undefined) continue;
    const group = byHash.get(picture.hash);
    if (group) group.push(picture);
    else byHash.set(picture.hash, [picture]);
  }
  return [...byHash.values()]
    .filter((group) => group.length > 1)
    .map((group) => ({
      names: group.map(({ name }) => name),
      splits: [...new Set(group.map(({ split }) => split))],
      labels: [...new Set(group.map(({ label }) => label))],
    }));
}

function duplicateWarnings(own: OwnPictures): string[] {
  const found = duplicatesIn(own);
  const say = (duplicates: readonly Duplicates[], sentence: string) => {
    const [first] = duplicates;
    if (!first) return [];
    const many = duplicates.length === 1 ? "1 picture is" : `${duplicates.length} pictures are`;
    return [`${many} ${sentence}, such as ${first.names.slice(0, 2).join(" and ")}.`];
  };
  return [
    ...say(
      found.filter(({ splits: of }) => of.length > 1),
      "in more than one split",
    ),
    ...say(
      found.filter(({ labels }) => labels.length > 1),
      "in more than one class",
    ),
  ];
}

function brokenWarnings({ broken }: OwnPictures, listsAll: boolean): string[] {
  if (broken.length === 0) return [];
  const shown = listsAll ? broken : broken.slice(0, listed);
  const more = broken.length - shown.length;
  return [
    `${broken.length} ${broken.length === 1 ? "picture is" : "pictures are"} broken and left out:`,
    ...shown.map(({ name, fault }) => `  ${name}: ${fault}`),
    ...(more > 0 ? [`  and ${more} more, which shake data lists`] : []),
  ];
}
