import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { beforeAll, expect, test } from "vitest";
import { UserError } from "../../graph-builder/errors.ts";
import { createBuilder, createModel, encodeModel, Graph } from "../../graph-builder/index.ts";
import { parseModel } from "../../graph-builder/onnx/parse.ts";
import { encodeMessage } from "../../graph-builder/onnx/wire.ts";
import { visible, visibleName } from "../../graph-builder/visible.ts";
import { weight } from "../support/artifact-models.ts";
import { type Finished, shake, temporaryFolder } from "../support/shake.ts";

const folder = temporaryFolder();

/** It clears a terminal, in two ways, and forges a line. */
const evil = "\u001b[2J\u009b2J\nshake: all is well";
const shown = String.raw`\u001b[2J\u009b2J\u000ashake: all is well`;

/** A classifier whose every name is the evil one, with something before it. */
function evilModel(): Uint8Array {
  const g = createBuilder(new Graph(`graph${evil}`));
  const x = g.input(`x${evil}`, "float", [`batch${evil}`, 3, 8, 8]);
  const pooled = g.Flatten(g.GlobalAveragePool(g.Conv(x, weight(g, `conv${evil}.weight`, [4, 3, 3, 3]))));
  g.output(g.Gemm(pooled, weight(g, `fc${evil}`, [2, 4]), null, { transB: 1 }), `y${evil}`);
  const metadataProps = { class_names: JSON.stringify([`a${evil}`, `b${evil}`]), [`key${evil}`]: evil };
  return encodeModel(createModel(g.graph, { docString: `doc${evil}`, metadataProps }));
}

/** The same with an operator that nobody has. */
function brokenModel(): Uint8Array {
  const model = parseModel(evilModel(), "model");
  const node = (model.graph.node ?? []).map((each) => ({ ...each, opType: `${each.opType}${evil}` }));
  return encodeMessage("ModelProto", { ...model, graph: { ...model.graph, node } });
}

beforeAll(async () => {
  writeFileSync(join(folder, "evil.onnx"), evilModel());
  writeFileSync(join(folder, "broken.onnx"), brokenModel());
  const create = { width: 8, height: 8, channels: 3, background: "red" } as const;
  await sharp({ create })
    .png()
    .toFile(join(folder, `picture${evil.replace("\n", "")}.png`));
});

function expectNoControls({ stdout, stderr }: Finished): void {
  expect(`${stdout}${stderr}`).not.toMatch(/[^\P{Cc}\n]/u);
  expect(`${stdout}${stderr}`).not.toMatch(/^shake: all is well/m);
}

test("predict shows the control characters of class names and paths", async () => {
  const picture = `picture${evil.replace("\n", "")}.png`;
  const text = await shake(folder, "predict", "evil.onnx", picture);
  expect(text.code, text.stderr).toBe(0);
  expectNoControls(text);
  expect(text.stdout).toContain(String.raw`picture\u001b[2J\u009b2Jshake: all is well.png`);
  expect(text.stdout).toContain(`a${shown}`);
  const json = await shake(folder, "predict", "evil.onnx", picture, "--json");
  expectNoControls(json);
  const [{ runners_up, ...first }] = JSON.parse(json.stdout).predictions;
  expect([first.class, runners_up[0].class].sort()).toEqual([`a${evil}`, `b${evil}`]);
  expect(first.picture).toBe(picture);
});

test("inspect shows those of every name in a model", async () => {
  for (const flags of [[], ["--graph"], ["--json"]]) {
    const done = await shake(folder, "inspect", "evil.onnx", ...flags);
    expect(done.code, done.stderr).toBe(0);
    expect(done.stdout).toContain(String.raw`\u001b[2J\u009b2J`);
    expectNoControls({ ...done, stdout: done.stdout.replaceAll("\nshake: all is well", "") });
  }
});

test("errors show those of names and paths, also where ONNX Runtime wrote them", async () => {
  for (const args of [
    ["inspect", `none${evil}.onnx`],
    ["predict", "broken.onnx", `none${evil}.png`],
    ["eval", "--model", "evil.onnx", `--data=${evil}`],
    [`un${evil}`],
    ["build-graph", "--from", "evil.onnx", "--loss", `output:${evil}`],
  ]) {
    const done = await shake(folder, ...args);
    expect(done.code, args.join(" ")).toBe(2);
    expect(done.stderr, args.join(" ")).toContain(String.raw`\u001b[2J\u009b2J`);
    expect(`${done.stdout}${done.stderr}`, args.join(" ")).not.toMatch(/[^\P{Cc}\n]/u);
    expect(done.stderr, args.join(" ")).toMatch(/^shake: [^\n]+\n$/);
  }
});

test("the message of an error is one line, whatever names are in it, and its details have them as they are", () => {
  const error = new UserError(`${evil} does not exist.`, { code: "file-missing", details: { path: evil } });
  expect(error.message).toBe(`${shown} does not exist.`);
  expect(error.details).toEqual({ path: evil });
});

test("marks that turn the direction of a text are shown too, and other writing systems stay", () => {
  expect(visible("a\u202eb\u2066c\td\ne")).toBe("a\\u202eb\\u2066c\\u0009d\ne");
  expect(visibleName("a\nb")).toBe("a\\u000ab");
  expect(visible("猫 кот 🐈 café قط")).toBe("猫 кот 🐈 café قط");
});

test("the command line prints through cli/terminal.ts alone", () => {
  const root = fileURLToPath(new URL("../../cli", import.meta.url));
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".ts"),
  );
  const printing = files.filter((name) =>
    /console\.|std(out|err)\.write\(/.test(readFileSync(join(root, name), "utf8")),
  );
  // main.ts prints its own words before anything can be loaded
  expect(printing.sort()).toEqual(["main.ts", "terminal.ts"]);
});
