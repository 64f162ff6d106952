import { UserError } from "../../../graph-builder/errors.ts";
import { ownDataPath } from "../../../runtime/node/data/own/own-pictures.ts";
import { type OwnPictures, writeFileAtomic } from "../../../runtime/node/index.ts";
import { countsTable, duplicatesIn, warningsOf } from "../../data/describe.ts";
import { openPictures } from "../../data/open-data.ts";
import { formatFields } from "../../format.ts";
import { shakeCommand } from "../../invocation.ts";
import { expectOutputFile } from "../../output.ts";
import { openProgress } from "../../progress.ts";
import { print } from "../../terminal.ts";
import type { DataGiven } from "./command.ts";
import { drawContactSheet } from "./contact-sheet.ts";

export async function run(given: DataGiven): Promise<number> {
  const { data = "", imageSize: side = 64, out = "contact-sheet.png", json } = given;
  const path = await ownDataPath(data);
  if (path === undefined) {
    throw new UserError(`${data} is a data set that is known by name: a folder of that name is ./${data}.`, {
      code: "setting-conflict",
      details: { setting: "data", value: data },
    });
  }
  await expectOutputFile(out, path);
  const size = { channels: 3, height: side, width: side };
  const own = await openPictures(path, size, given, openProgress());
  try {
    await expectOutputFile(out, ...own.pictures.map((picture) => picture.path));
    await writeFileAtomic(out, await drawContactSheet(own));
    print(json ? JSON.stringify(factsOf(own, out)) : describe(own, data, out));
  } finally {
    await own.close();
  }
  return 0;
}

function describe(own: OwnPictures, data: string, sheet: string): string {
  const readable = own.split();
  return [
    countsTable(own),
    "",
    formatFields({
      pictures: `${readable.length.toLocaleString("en-US")} in ${own.classNames.length} ${own.classNames.length === 1 ? "class" : "classes"}`,
      sizes: sizesOf(own).join(", "),
      "contact sheet": sheet,
    }),
    "",
    ...warningsOf(own, true),
    "",
    "Next:",
    `  ${shakeCommand("train", "--data", data)}`,
  ].join("\n");
}

/** The smallest, the median and the largest picture, by area. */
function sizesOf(own: OwnPictures): string[] {
  const byArea = [...own.split()].sort((a, b) => a.width * a.height - b.width * b.height);
  const names = ["smallest", "median", "largest"];
  return [0, Math.floor((byArea.length - 1) / 2), byArea.length - 1].flatMap((at, i) => {
    const picture = byArea[at];
    return picture ? [`${names[i]} ${picture.width} x ${picture.height}`] : [];
  });
}

function factsOf(own: OwnPictures, sheet: string): object {
  const [train, val, test] = (["train", "val", "test"] as const).map((split) => own.counts(split));
  return {
    data: own.path,
    pictures: own.split().length,
    classes: own.classNames.map((name, i) => ({
      class: name,
      train: train?.[i],
      validation: val?.[i],
      test: test?.[i],
    })),
    sizes: sizesOf(own),
    broken: own.broken.map(({ name, fault }) => ({ picture: name, reason: fault })),
    duplicates: duplicatesIn(own),
    notices: own.notices,
    contact_sheet: sheet,
  };
}
