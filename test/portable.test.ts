import { fileURLToPath } from "node:url";
import { build } from "vite";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Bundles a module for the browser. Returns its code, what it still imports, and the bundler's warnings. */
async function bundle(entry: string) {
  const warnings: string[] = [];
  const warn = (message: string) => warnings.push(message);
  const output = await build({
    configFile: false,
    root,
    logLevel: "silent",
    build: {
      write: false,
      minify: false,
      target: "es2022",
      lib: { entry, formats: ["es"], fileName: "bundle" },
      rolldownOptions: { onLog: (_level, { message }) => warn(message) },
    },
  });
  const chunks = [output].flat().flatMap((part) => ("output" in part ? part.output : []));
  const code = chunks.filter((chunk) => chunk.type === "chunk");
  return {
    text: code.map((chunk) => chunk.code).join("\n"),
    imports: code.flatMap((chunk) => [...chunk.imports, ...chunk.dynamicImports]),
    chunkNames: chunks.map(({ fileName }) => fileName),
    warnings,
  };
}

test.each(["graph-builder", "artifacts", "runtime", "shakenet"])(
  "a page can import %s: its bundle needs nothing of Node, and the bundler warns of nothing",
  async (room) => {
    const { text, imports, chunkNames, warnings } = await bundle(`${room}/index.ts`);
    expect(warnings).toEqual([]);
    expect(imports.filter((name) => !chunkNames.includes(name))).toEqual([]);
    expect(text).not.toMatch(/(from|import|require)\s*\(?\s*["'](node:|onnxruntime-node)/);
    expect(text).not.toContain("__vite-browser-external");
  },
);

test("the bundle of what needs Node does not go unnoticed", async () => {
  const { text, warnings } = await bundle("runtime/node/files.ts");
  expect(warnings.join("\n") + text).toMatch(/node:fs|__vite-browser-external/);
});
