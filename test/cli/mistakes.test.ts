import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { cifar10Dir, testWithCifar10 } from "../support/cifar10.ts";
import { shake, temporaryFolder, tinyRunFlags } from "../support/shake.ts";

const folder = temporaryFolder();
writeFileSync(join(folder, "typo.json"), '{ "epoch": 3 }');
writeFileSync(join(folder, "type.json"), '{ "epochs": "many" }');
writeFileSync(join(folder, "text.json"), '{ "json": "true" }');
writeFileSync(join(folder, "quoted.json"), '{ "depth": "14" /* layers */ }');
writeFileSync(join(folder, "broken.json"), '{ "epochs": ');
writeFileSync(join(folder, "text.onnx"), "this is no model");

const mistakes: readonly (readonly [what: string, args: readonly string[], sentence: RegExp])[] = [
  ["a misspelt command", ["trian"], /^trian is not a command\. Did you mean train\?$/],
  [
    "a misspelt flag",
    ["train", "--epoch", "3"],
    /^--epoch is not a flag of shake train\. Did you mean epochs\?$/,
  ],
  [
    "a misspelt choice",
    ["train", "--forward", "shaek"],
    /^--forward must be one of shake, even, not shaek\. Did you mean shake\?$/,
  ],
  ["a misspelt data set", ["train", "--data", "cifar"], /^--data must be one of .*, not cifar\./],
  [
    "a word for a number",
    ["train", "--epochs", "many"],
    /^--epochs must be a whole number from 1, not many\.$/,
  ],
  ["a fraction for a whole number", ["train", "--batch-size", "1.5"], /^--batch-size must be a whole number/],
  [
    "a negative rate",
    ["train", "--learning-rate", "-1"],
    /^--learning-rate must be a number above 0, not -1\.$/,
  ],
  ["a depth that makes no network", ["train", "--depth", "10"], /^A depth of 10 is not of the form 6n \+ 2/],
  [
    "a rate that is no number",
    ["train", "--learning-rate", "NaN"],
    /^--learning-rate must be .*, not NaN\.$/,
  ],
  ["a switch with a word", ["train", "--json=maybe"], /^--json must be true or false, not maybe\.$/],
  [
    "a text for a switch in a config file",
    ["train", "--config", "text.json"],
    /^json in text\.json must be true or false, not the text "true": leave the quotes out\.$/,
  ],
  [
    "a number in quotes in a config file",
    ["train", "--config", "quoted.json"],
    /^depth in quoted\.json must be a whole number from 8 to 2000, not the text "14": leave the quotes out\.$/,
  ],
  [
    "a width whose weights fit into no checkpoint",
    ["train", "--width", "1000000000"],
    /^A network of depth 8, width 1,000,000,000 .* holds at most 268,435,456: choose smaller ones\.$/,
  ],
  [
    "more pictures than fit into memory",
    ["train", "--width", "2", "--train-limit", "9007199254740991"],
    /^At most 699,050 pictures of shapes can be drawn, not 9007199254740991\.$/,
  ],
  ["too few classes", ["train", "--classes", "3"], /^--classes 3 is too few/],
  [
    "an average's decay without an average",
    ["train", "--average-decay", "0.9"],
    /^--average-decay needs --average ema or lookahead\.$/,
  ],
  ["a rate of SGD without Muon", ["train", "--sgd-rate", "4"], /^--sgd-rate needs --optimizer muon\.$/],
  [
    "Muon with several steps a call",
    ["train", "--optimizer", "muon", "--steps-per-call", "4"],
    /^--optimizer muon does not go with --steps-per-call/,
  ],
  [
    "bfloat16 on a device that has none",
    ["train", "--precision", "bfloat16"],
    /^--precision bfloat16 does not work on cpu, .*: give --device cuda\.$/,
  ],
  [
    "a share of small images without their size",
    ["train", "--early-share", "0.5"],
    /^--early-share needs --early-size PIXELS\.$/,
  ],
  [
    "small images with several steps a call",
    ["train", "--early-size", "24", "--steps-per-call", "4"],
    /^--early-size does not go with --steps-per-call/,
  ],
  [
    "small images of which max pooling leaves nothing",
    ["train", "--early-size=8", "--stem=whitening-pool", "--stem-stride=2", "--downsampling=max-pool"],
    /^--early-size 8 is too small for so many max poolings: give 16 or more\.$/,
  ],
  ["a flag without its value", ["train", "--data-dir"], /^--data-dir needs a value/],
  [
    "a misspelt key in a config file",
    ["train", "--config", "typo.json"],
    /^epoch in typo\.json is not a setting of this command\. Did you mean epochs\?$/,
  ],
  [
    "a wrong value in a config file",
    ["train", "--config", "type.json"],
    /^epochs in type\.json must be a whole number from 1, not many\.$/,
  ],
  ["a config file that is no JSON", ["train", "--config", "broken.json"], /^broken\.json is not JSON: /],
  [
    "a config file that is not there",
    ["train", "--config", "tyop.json"],
    /^tyop\.json does not exist\. Did you mean typo\.json\?$/,
  ],
  [
    "a device that this machine has not",
    ["train", "--device", process.platform === "darwin" ? "dml" : "coreml"],
    /^The device \w+ is not in this machine's ONNX Runtime: it exists on/,
  ],
  ["artifacts that are not there", ["train", "--artifacts", "nowhere"], /nowhere\/\S+ does not exist\.$/],
  [
    "a model in the place of artifacts",
    ["train", "--artifacts", "text.onnx"],
    /^text\.onnx is a file, and --artifacts takes a folder that build-graph wrote: for a model, node \S+ build-graph --from text\.onnx writes one\.$/,
  ],
  ["a data folder without the files", ["train", "--data", "cifar10", "--data-dir", "."], /CIFAR-10/],
  ["eval of nothing", ["eval"], /^shake eval needs a run, a checkpoint or a model: .* eval runs\/NAME\.$/],
  ["eval of a text", ["eval", "--model", "text.onnx"], /^text\.onnx is not an ONNX model/],
  ["export without a target", ["export", "text.onnx"], /^shake export needs --out FILE\.$/],
  [
    "export of a text",
    ["export", "text.onnx", "--out", "x.onnx"],
    /^text\.onnx is not a sound ONNX Runtime checkpoint/,
  ],
  ["inspect of a text", ["inspect", "text.onnx"], /^text\.onnx is not an ONNX model/],
  ["a word too many", ["doctor", "now"], /^unexpected argument now: see node \S+main\.js doctor --help\.$/],
  ["an unknown short flag", ["train", "-x"], /^-x is not a flag of shake train\./],
  ["an unknown flag of no command", ["-x"], /^-x is not a flag of shake\.$/],
  ["inspect of nothing", ["inspect"], /^shake inspect needs a file: see node \S+main\.js inspect --help\.$/],
];

test.each(mistakes)("%s is one sentence and exit code 2", async (_, args, sentence) => {
  const { code, stdout, stderr } = await shake(folder, ...args);
  expect(stderr).toMatch(/^shake: [^\n]+\n$/);
  expect(stderr.slice("shake: ".length, -1)).toMatch(sentence);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(existsSync(join(folder, "runs"))).toBe(false);
});

testWithCifar10("a cut-off CIFAR-10 file is named with the size it should have", async () => {
  const data = join(folder, "cifar-10-batches-bin");
  mkdirSync(data);
  for (const file of readdirSync(cifar10Dir).filter((name) => name.endsWith(".bin"))) {
    copyFileSync(join(cifar10Dir, file), join(data, file));
  }
  truncateSync(join(data, "data_batch_3.bin"), 1_000_000);
  const { code, stderr } = await shake(
    folder,
    "train",
    "--data",
    "cifar10",
    "--data-dir",
    data,
    "--width",
    "2",
  );
  expect(code).toBe(2);
  expect(stderr).toMatch(/^shake: [^\n]*data_batch_3\.bin[^\n]*30[,_]?730[,_]?000[^\n]*\n$/);
  expect(existsSync(join(folder, "runs"))).toBe(false);
});

const canMount = process.platform === "linux" && process.getuid?.() === 0 && mounts();

function mounts(): boolean {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=300k", "none", mountPoint("full")], {
      stdio: "ignore",
    });
    return true;
  } catch {
    return false;
  }
}

function mountPoint(name: string): string {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  return path;
}

afterAll(() => {
  for (const name of canMount ? ["full", "readonly"] : []) {
    try {
      execFileSync("umount", [join(folder, name)], { stdio: "ignore" });
    } catch {
      // it was never mounted
    }
  }
});

test.skipIf(!canMount)(
  "a disk that fills up stops a run in one sentence and keeps its last checkpoint",
  async () => {
    const { code, stderr } = await shake(folder, "train", ...tinyRunFlags, "--run-dir", "full/run");
    expect(code).toBe(2);
    expect(stderr).toMatch(/shake: full\/\S+ cannot be written: the disk is full\.\n$/);
    const left = readdirSync(join(folder, "full"), { recursive: true }).filter((name) =>
      String(name).includes(".tmp"),
    );
    expect(left).toEqual([]);
  },
);

test.skipIf(!canMount)(
  "a read-only folder is refused in one sentence before anything is trained",
  async () => {
    execFileSync("mount", ["-t", "tmpfs", "-o", "ro", "none", mountPoint("readonly")]);
    for (const args of [
      ["train", ...tinyRunFlags, "--run-dir", "readonly/run"],
      ["build-graph", "--width", "2", "--out", "readonly/art"],
    ]) {
      const { code, stdout, stderr } = await shake(folder, ...args);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toMatch(/^shake: readonly\/\S+ cannot be created: the file system is read-only\.\n$/);
    }
  },
);
