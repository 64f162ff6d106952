import { cp, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { writePictures } from "./picture-formats.ts";
import { leftoversIn, runDigest, type Scenario } from "./scenarios.ts";
import { shake } from "./shake.ts";

const trainFlags = "--width 2 --epochs 2 --batch-size 2 --threads 1 --checkpoint-every-steps 1".split(" ");

/** Commands on pictures of one's own; their right results are made in `reference`. */
export async function makePictureScenarios(reference: string): Promise<Scenario[]> {
  await writePictures(reference);
  const scenarios = [dataScenario(reference), ownTrainScenario(reference)];
  for (const { command } of scenarios) {
    const { code, stderr } = await shake(reference, command);
    if (code !== 0) throw new Error(`shake ${command.join(" ")} ended with ${code}: ${stderr}`);
  }
  return scenarios;
}

function dataScenario(reference: string): Scenario {
  const command = ["data", "pictures.zip", "--image-size", "8", "--out", "sheet.png"];
  return {
    name: "data of a zip",
    command,
    prepare: (folder) => cp(join(reference, "pictures.zip"), join(folder, "pictures.zip")),
    async judge(folder) {
      if ((await shake(folder, command)).code !== 0) return "lost";
      const [is, should] = await Promise.all(
        [folder, reference].map((each) => readFile(join(each, "sheet.png"), "base64")),
      );
      return is === should ? leftoversIn(folder) : "silently other";
    },
  };
}

function ownTrainScenario(reference: string): Scenario {
  const command = ["train", "--data", "pictures.csv", ...trainFlags, "--run-dir", "own"];
  return {
    name: "train on a csv of pictures",
    command,
    prepare: async (folder) => {
      for (const name of ["pictures", "pictures.csv"])
        await cp(join(reference, name), join(folder, name), { recursive: true });
    },
    async judge(folder) {
      const isMade = (await readdir(folder)).includes("own");
      const ended = await shake(folder, isMade ? ["train", "--resume", "own"] : command);
      if (ended.isHanging) return "hang";
      if (ended.code !== 0) return "lost";
      const [is, should] = await Promise.all([folder, reference].map((each) => runDigest(join(each, "own"))));
      return is === should ? leftoversIn(folder) : "silently other";
    },
  };
}
