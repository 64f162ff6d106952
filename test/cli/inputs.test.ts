import { readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { externalFileOf } from "../support/file-model.ts";
import { colourPictures, writeFiles } from "../support/picture-folder.ts";
import { pictureModel } from "../support/picture-models.ts";
import { shake, temporaryFolder } from "../support/shake.ts";

const folder = temporaryFolder();

beforeAll(async () => {
  writeFiles(join(folder, "pets"), await colourPictures({ red: 10, blue: 10 }));
  const rows = ["red", "blue"].flatMap((label) =>
    Array.from({ length: 10 }, (_, i) => `pets/${label}/${i}.png,${label}`),
  );
  writeFileSync(join(folder, "list.csv"), `path,label\n${rows.join("\n")}\n`);
});

test("--out never replaces a picture, or the list of pictures, that a command reads", async () => {
  const commands = [
    ["data", "pets", "--out", "pets/red/0.png"],
    ["data", "list.csv", "--out", "list.csv"],
    ["data", "list.csv", "--out", "pets/red/0.png"],
    ["predict", "pets", "--out", "pets/red/0.png"],
    ["predict", "pets/red/0.png", "--out", "pets/red/0.png"],
  ];
  for (const args of commands) {
    const out = args.at(-1) ?? "";
    const before = readFileSync(join(folder, out));
    expect(await shake(folder, ...args), args.join(" ")).toEqual({
      code: 2,
      stdout: "",
      stderr: `shake: --out ${out} would replace what it is made from: give another path.\n`,
    });
    expect(readFileSync(join(folder, out)).equals(before)).toBe(true);
  }
});

test("a link to a folder that holds it adds no pictures and no class", async () => {
  const own = join(folder, "linked");
  writeFiles(own, await colourPictures({ red: 10, blue: 10 }));
  symlinkSync("..", join(own, "red", "up"));
  symlinkSync("../linked", join(own, "all"));
  symlinkSync(join(own, "blue"), join(own, "red", "blue"));
  symlinkSync(join(own, "red"), join(own, "blue", "red"));
  const { code, stdout } = await shake(folder, "data", "linked", "--json");
  // each of the two classes has the pictures of the other one by a link, once
  expect({ code, ...JSON.parse(stdout) }).toMatchObject({
    code: 0,
    pictures: 40,
    classes: [{ class: "blue" }, { class: "red" }],
  });
});

test("a model's data is read beside the model, and not from the working folder", async () => {
  const { bytes, files, whole } = externalFileOf(pictureModel({ side: 12 }), "weights.bin");
  const data = files.get("weights.bin") ?? new Uint8Array();
  writeFiles(folder, {
    "models/parts.onnx": bytes,
    "models/weights.bin": data,
    "models/whole.onnx": whole,
    // other weights, in the folder that the commands run in
    "weights.bin": new Uint8Array(data.length),
  });
  const predicted = async (model: string) => {
    const { code, stdout, stderr } = await shake(folder, "predict", model, "pets/red/0.png", "--json");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return JSON.parse(stdout).predictions;
  };
  expect(await predicted("models/parts.onnx")).toEqual(await predicted("models/whole.onnx"));
  const measured = await shake(folder, "eval", "models/parts.onnx", "--data", "shapes", "--test-limit", "10");
  expect(measured.code, measured.stderr).toBe(0);
});

test("a ShakeNet of width 1, whose shortcuts have no two halves, is one sentence", async () => {
  for (const command of ["train", "build-graph"]) {
    const where = command === "train" ? "--run-dir" : "--out";
    const { code, stderr } = await shake(folder, command, "--width", "1", where, "narrow");
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: "shake: A ShakeNet has a width of 2 or more, not 1: its shortcuts have two halves.\n",
    });
  }
  expect(readdirSync(folder)).not.toContain("narrow");
});
