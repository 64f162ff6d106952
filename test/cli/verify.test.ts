import { copyFileSync, cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { describe as described } from "../../cli/commands/verify/report.ts";
import { decodeModel, encodeModel, floats, rewriteGraph } from "../../graph-builder/index.ts";
import { shake, temporaryFolder, tinyRunFlags } from "../support/shake.ts";

const folder = temporaryFolder();

beforeAll(async () => {
  expect((await shake(folder, "train", ...tinyRunFlags, "--run-dir", "run")).code).toBe(0);
  copyFileSync(join(folder, "run/model.onnx"), join(folder, "model.onnx"));
}, 60_000);

const verify = (...args: string[]) =>
  shake(folder, "verify", ...args, "--test-limit", "40", "--threads", "1");

interface Row {
  readonly device: string;
  readonly largest_error: number;
  readonly same_class: number;
}

interface Absent {
  readonly device: string;
  readonly reason: string;
}

describe("verify", () => {
  test("runs a run's model on the CPU and in WebAssembly, where both agree to 1e-5", async () => {
    const { code, stdout } = await verify("run/model.onnx", "--json");
    const report = JSON.parse(stdout) as { devices: Row[]; absent: Absent[]; images: number };
    expect(code).toBe(0);
    expect(report).toMatchObject({
      against: "run/checkpoints/last",
      data: "shapes",
      images: 40,
      tolerance: 1e-5,
    });
    const rows = report.devices.filter(({ device }) => device === "cpu" || device === "wasm");
    expect(rows.map(({ device }) => device)).toEqual(["cpu", "wasm"]);
    for (const { largest_error, same_class } of rows) {
      expect(largest_error).toBeLessThan(1e-5);
      expect(largest_error).toBeGreaterThan(0);
      expect(same_class).toBe(40);
    }
    expect([...report.devices, ...report.absent].map(({ device }) => device).sort()).toEqual(
      ["coreml", "cpu", "cuda", "dml", "wasm", "webgpu"].sort(),
    );
    for (const { device, reason } of report.absent)
      expect(reason).toMatch(new RegExp(`\\b${device}\\b.+\\.$`));
  });

  test.each([
    ["--output", "probabilities"],
    ["--input", "uint8-nhwc", "--batch", "16"],
    ["--alpha-input"],
    ["--precision", "float16"],
    ["--precision", "int8"],
  ])("agrees with an export with %s %s", async (...flags) => {
    const given = flags.filter((flag) => flag !== undefined);
    expect((await shake(folder, "export", "run", "--out", "form.onnx", ...given)).code).toBe(0);
    const { code, stdout } = await verify("form.onnx", "--against", "run/checkpoints/last");
    expect(stdout).toMatch(/^device +largest error +mean error +same class +images\/s +agrees\n/);
    expect(stdout).toMatch(/^cpu +\d\.\de-\d+ +\d\.\de-\d+ +\d+ of 40 +[\d.]+ +yes$/m);
    expect(stdout).toMatch(/^wasm .* yes$/m);
    expect(code).toBe(0);
  });

  test("agrees with a model that ends in a softmax whose output is not called so", async () => {
    const model = decodeModel(readFileSync(join(folder, "model.onnx")));
    const graph = rewriteGraph(model.graph, (node, inputs, g) =>
      node.opType === "Gemm" ? [g.Softmax(g.copy(node, inputs).output(0), { axis: 1 })] : undefined,
    );
    writeFileSync(join(folder, "softmax.onnx"), encodeModel({ ...model, graph }));
    const { code, stdout } = await verify("softmax.onnx", "--run", "run");
    expect(stdout).toMatch(/^cpu .* yes$/m);
    expect(code).toBe(0);
  });

  test("says which part of the data was compared", () => {
    const facts = { model: "m.onnx", against: "last", data: "photos", images: 7, tolerance: 1e-5 };
    const report = { ...facts, devices: [], absent: [] };
    expect(described({ ...report, part: "validation" })).toContain("on 7 validation images of photos;");
    expect(described({ ...report, part: "all" })).toContain("on 7 images of photos;");
  });

  test("ends with 1 where the model is not the checkpoint's", async () => {
    const model = decodeModel(readFileSync(join(folder, "model.onnx")));
    const graph = rewriteGraph(model.graph, (node, inputs, g) =>
      node.opType === "Gemm" ? [g.Mul(g.copy(node, inputs).output(0), g.constant(floats(1.01)))] : undefined,
    );
    writeFileSync(join(folder, "altered.onnx"), encodeModel({ ...model, graph }));
    const { code, stdout } = await verify("altered.onnx", "--run", "run");
    expect(stdout).toMatch(/^cpu .* no$/m);
    expect(code).toBe(1);
  });

  const mistakes: readonly (readonly [what: string, args: readonly string[], sentence: RegExp])[] = [
    ["no model", [], /^shake verify needs a model: see node \S+main\.js verify --help\.$/],
    [
      "a model in no run",
      ["model.onnx"],
      /^model\.onnx is not in the folder of a run: give --run DIR or --against CHECKPOINT\.$/,
    ],
    ["two references", ["model.onnx", "--run", "run", "--against", "run/checkpoints/last"], /not both\.$/],
    [
      "a choice beside the checkpoint that is named",
      ["model.onnx", "--against", "run/checkpoints/last", "--checkpoint", "best"],
      /^shake verify takes --checkpoint, which chooses one of a run, or --against CHECKPOINT, not both\.$/,
    ],
    ["a folder that is no run", ["model.onnx", "--run", "."], /^\. is not the folder of a run: /],
    [
      "a checkpoint that is a model",
      ["model.onnx", "--against", "model.onnx"],
      /not a sound ONNX Runtime checkpoint/,
    ],
  ];

  test.each(mistakes)("of %s is one sentence", async (_, args, sentence) => {
    const { code, stdout, stderr } = await verify(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^shake: [^\n]+\n$/);
    expect(stderr.slice("shake: ".length, -1)).toMatch(sentence);
  });

  test("refuses a checkpoint of another step", async () => {
    const flags = tinyRunFlags.map((flag, i) => (tinyRunFlags[i - 1] === "--epochs" ? "1" : flag));
    expect((await shake(folder, "train", ...flags, "--run-dir", "short")).code).toBe(0);
    const { code, stderr } = await verify("model.onnx", "--run", "short");
    expect(code).toBe(2);
    expect(stderr).toBe(
      "shake: model.onnx was frozen after step 12, and short/checkpoints/last is of step 6: give --checkpoint or --against.\n",
    );
  });

  test("takes the pictures from where the run of a checkpoint had them, and downloads none", async () => {
    cpSync(join(folder, "run"), join(folder, "moved"), { recursive: true });
    const config = JSON.parse(readFileSync(join(folder, "run/config.json"), "utf8"));
    const place = { data: "cifar10", dataDir: join(folder, "gone") };
    writeFileSync(join(folder, "moved/config.json"), JSON.stringify({ ...config, ...place }));
    const { code, stderr } = await verify("model.onnx", "--against", "moved/checkpoints/last");
    expect(code).toBe(2);
    expect(stderr).toMatch(/^shake: \S+\/gone\/test_batch\.bin is missing .* with --data-dir\.\n$/);
  });
});
