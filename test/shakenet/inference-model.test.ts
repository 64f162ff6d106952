import * as ort from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import type { Checkpoint } from "../../artifacts/index.ts";
import {
  checkGraph,
  createModel,
  decodeMetadata,
  decodeModel,
  encodeModel,
  type Graph,
  operators,
  printGraph,
  Tensor,
  UserError,
} from "../../graph-builder/index.ts";
import {
  type InferenceForm,
  inferenceGraph,
  inferenceModel,
  inputForms,
  outputForms,
  trainedGraph,
} from "../../shakenet/index.ts";
import { randomCheckpoint, randomPixels, relativeError } from "../support/frozen.ts";
import { tinySettings } from "../support/tiny-run.ts";

const settings = tinySettings({ depth: 14, width: 3 });
const checkpoint = randomCheckpoint(settings);
const pixels = randomPixels(3);
const blocks = 6;

/** The same images with the colours of a pixel together. */
const interleaved = Uint8Array.from(pixels, (_, i) => {
  const [image, within] = [Math.floor(i / 3072), i % 3072];
  return pixels[image * 3072 + (within % 3) * 1024 + Math.floor(within / 3)] ?? 0;
});

async function run(bytes: Uint8Array, form: Partial<InferenceForm> = {}, alpha = Array(blocks).fill(0.5)) {
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3, intraOpNumThreads: 1 });
  const images =
    form.input === "uint8-nhwc"
      ? new ort.Tensor("uint8", interleaved, [3, 32, 32, 3])
      : new ort.Tensor("float32", Float32Array.from(pixels), [3, 3, 32, 32]);
  const feeds = { images, ...(form.alphaInput ? { alpha: new ort.Tensor("float32", alpha, [blocks]) } : {}) };
  const results = await session.run(feeds);
  await session.release();
  return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, data as Float32Array]));
}

const graphBytes = (graph: Graph) => encodeModel(createModel(graph));
const logitsOf = async (graph: Graph, form?: Partial<InferenceForm>, alpha?: number[]) =>
  (await run(graphBytes(graph), form, alpha))["logits"] ?? [];

test.each([
  [1, "Gray8"],
  [3, "Rgb8"],
  [4, "Rgba8"],
])("a file says of %d channels that its pictures are %s", (channels, format) => {
  const own = { ...tinySettings(), mean: Array(channels).fill(120), std: Array(channels).fill(60) };
  const model = inferenceModel(own, randomCheckpoint(own));
  expect(decodeMetadata(model)["Image.BitmapPixelFormat"]).toBe(format);
});

describe("the frozen network", () => {
  test("agrees with the trained one to 1e-5 of the logits' scale, whatever the running statistics", async () => {
    const folded = inferenceGraph(settings, checkpoint);
    checkGraph(folded);
    const expected = await logitsOf(trainedGraph(settings, checkpoint));
    expect(relativeError(await logitsOf(folded), expected)).toBeLessThan(1e-5);
  });

  test("agrees behind a stem with max pooling, with max pooling between the stages, and with GELU", async () => {
    const pooled = tinySettings({
      width: 3,
      stem: "whitening-pool",
      downsampling: "max-pool",
      activation: "gelu",
    });
    const weights = randomCheckpoint(pooled);
    const expected = await logitsOf(trainedGraph(pooled, weights));
    expect(relativeError(await logitsOf(inferenceGraph(pooled, weights)), expected)).toBeLessThan(1e-5);
  });

  test("is made of common operators alone, four in a plain residual block", () => {
    const { nodes } = inferenceGraph(settings, checkpoint);
    const types = nodes.map(({ opType }) => opType);
    expect([...new Set(types)].sort()).toEqual(
      ["Add", "Conv", "Div", "Flatten", "Gemm", "GlobalAveragePool", "Relu", "Sub"].sort(),
    );
    const block = nodes.filter(({ name }) => name.startsWith("stage2/block1/"));
    expect(block.map(({ opType }) => opType)).toEqual(["Relu", "Conv", "Relu", "Conv", "Add"]);
    const stemBlocksAndShortcuts = 1 + 2 * blocks + 3;
    expect(types.filter((type) => type === "Conv")).toHaveLength(stemBlocksAndShortcuts);
  });

  test("is written in ONNX's textual syntax like this", () => {
    const small = tinySettings();
    const lines = printGraph(inferenceGraph(small, randomCheckpoint(small))).split("\n");
    const convolution = / <dilations.*?>/;
    expect(lines.slice(6, 12).map((line) => line.trim().replace(convolution, ""))).toMatchInlineSnapshot(`
      [
        ""stage1.block0.Relu_0" = Relu ("stem.Conv_0")",
        ""stage1.block0.Conv_0" = Conv ("stage1.block0.Relu_0", "stage1.block0.conv1.weight", "stage1.block0.conv1.bias")",
        ""stage1.block0.Relu_1" = Relu ("stage1.block0.Conv_0")",
        ""stage1.block0.Conv_1" = Conv ("stage1.block0.Relu_1", "stage1.block0.conv2.weight", "stage1.block0.conv2.bias")",
        ""stage1.block0.shortcut" = Conv ("stage1.block0.Relu_0", "stage1.block0.shortcut.weight", "stage1.block0.shortcut.bias")",
        ""stage1.block0.Add_1" = Add ("stage1.block0.shortcut", "stage1.block0.Conv_1")",
      ]
    `);
  });

  test.each([11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21])(
    "of opset %i is opened by ONNX Runtime, read back, and agrees",
    async (opset) => {
      const form = { input: "uint8-nhwc", output: "probabilities", alphaInput: true } as const;
      const bytes = inferenceModel(settings, checkpoint, { opset }, form);
      const irVersions = { 11: 6, 12: 7, 13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9, 21: 10 };
      const model = decodeModel(bytes);
      expect([model.opset, model.irVersion]).toEqual([opset, irVersions[opset as keyof typeof irVersions]]);
      const { probabilities = [] } = await run(bytes, form);
      const expected = softmax(await logitsOf(trainedGraph(settings, checkpoint)));
      expect(relativeError(probabilities, expected)).toBeLessThan(1e-4);
    },
  );

  test("an opset before 11 is refused", () => {
    expect(() => inferenceModel(settings, checkpoint, { opset: 10 })).toThrow(RangeError);
  });

  const forms = inputForms.flatMap((input) =>
    outputForms.flatMap((output) =>
      (["float32", "float16"] as const).flatMap((precision) =>
        (["dynamic", 3] as const).map((batch) => ({ input, output, precision, batch })),
      ),
    ),
  );

  test.each(forms)("$precision, $input to $output, batch $batch, agrees", async (form) => {
    const bytes = inferenceModel(settings, checkpoint, {}, form);
    const logits = await logitsOf(trainedGraph(settings, checkpoint));
    const results = await run(bytes, form);
    expect(Object.keys(results)).toEqual([form.output]);
    const expected = form.output === "logits" ? logits : softmax(logits);
    const tolerance = {
      float32: { logits: 1e-5, probabilities: 1e-4 },
      float16: { logits: 1e-2, probabilities: 5e-2 },
    };
    const error = relativeError(results[form.output] ?? [], expected);
    expect(error).toBeLessThan(tolerance[form.precision][form.output]);
    expect(error).toBeGreaterThan(form.precision === "float16" ? 1e-6 : -1);
  });

  test("in halves has no float weight, takes floats and returns floats", () => {
    const graph = inferenceGraph(settings, checkpoint, { precision: "float16" });
    expect(new Set(graph.initializers.map(({ elemType }) => elemType))).toEqual(new Set(["float16"]));
    expect([graph.input("images").elemType, graph.output("logits").elemType]).toEqual(["float", "float"]);
    expect(graph.nodes.filter(({ opType }) => opType === "Cast")).toHaveLength(2);
  });

  test("of a fixed batch says so", () => {
    const graph = inferenceGraph(settings, checkpoint, { batch: 7, input: "uint8-nhwc" });
    expect([graph.input("images").shape, graph.output("logits").shape]).toEqual([
      [7, 32, 32, 3],
      [7, 10],
    ]);
  });

  test("a checkpoint with a trained tensor that the network does not read is refused", () => {
    const more = new Map([
      ...checkpoint.trainable,
      ["stem.bias", new Tensor("float", [3], Float32Array.of(1, 2, 3))],
    ]);
    expect(() => inferenceModel(settings, { ...checkpoint, trainable: more })).toThrow(
      "The checkpoint has stem.bias, the network has not: it belongs to another network.",
    );
  });

  test("a checkpoint of another network is refused", () => {
    expect(() => inferenceModel(tinySettings({ depth: 20, width: 3 }), checkpoint)).toThrow(UserError);
    expect(() => inferenceModel(tinySettings({ depth: 14, width: 4 }), checkpoint)).toThrow(
      /^The checkpoint's stage1\.block0\.branch1\.conv1\.weight is \[3, 16, 3, 3\], the network wants \[4, 16, 3, 3\]\.$/,
    );
  });
});

describe("alpha as an input", () => {
  const form = { alphaInput: true } as const;

  test("of 0.5 gives what the merged network gives", async () => {
    const expected = await logitsOf(inferenceGraph(settings, checkpoint));
    expect(
      relativeError(await logitsOf(inferenceGraph(settings, checkpoint, form), form), expected),
    ).toBeLessThan(1e-5);
  });

  test("of other numbers gives alpha * branch1 + (1 - alpha) * branch2, as unfolded", async () => {
    const alpha = [0.1, 0.9, 0, 1, 0.37, -0.5];
    const folded = await logitsOf(inferenceGraph(settings, checkpoint, form), form, alpha);
    const expected = await logitsOf(trainedGraph(settings, checkpoint, form), form, alpha);
    expect(relativeError(folded, expected)).toBeLessThan(1e-5);
    const even = await logitsOf(trainedGraph(settings, checkpoint));
    expect(relativeError(expected, even)).toBeGreaterThan(1e-2);
  });

  test("of ones is the network whose second branch is the first", async () => {
    const copied = new Map(
      [...checkpoint.trainable, ...checkpoint.frozen].map(([name, tensor]) => {
        const first = name.replace("branch2", "branch1");
        return [name, checkpoint.trainable.get(first) ?? checkpoint.frozen.get(first) ?? tensor];
      }),
    );
    const twin: Checkpoint = { ...checkpoint, trainable: copied, frozen: new Map() };
    const ones = await logitsOf(inferenceGraph(settings, checkpoint, form), form, Array(blocks).fill(1));
    expect(relativeError(ones, await logitsOf(inferenceGraph(settings, twin)))).toBeLessThan(1e-5);
  });

  test("keeps the branches apart", () => {
    const { nodes } = inferenceGraph(settings, checkpoint, form);
    const weights = nodes.filter(({ opType }) => opType === "Conv").map((node) => node.input(1).name);
    expect(weights).toContain("stage1.block1.branch2.conv2.weight");
    expect(nodes.map(({ opType }) => opType)).not.toContain("BatchNormalization");
    expect(Object.keys(operators)).toEqual(expect.arrayContaining(nodes.map(({ opType }) => opType)));
  });
});

function softmax(logits: ArrayLike<number>): number[] {
  const rows = Array.from({ length: logits.length / 10 }, (_, row) =>
    Array.from(logits).slice(row * 10, row * 10 + 10),
  );
  return rows.flatMap((row) => {
    const odds = row.map((logit) => Math.exp(logit - Math.max(...row)));
    const sum = odds.reduce((total, value) => total + value, 0);
    return odds.map((value) => value / sum);
  });
}
