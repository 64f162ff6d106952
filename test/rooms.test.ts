import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** The rooms, and those that each may import. */
const below: Readonly<Record<string, readonly string[]>> = {
  "graph-builder": [],
  artifacts: ["graph-builder"],
  runtime: ["artifacts", "graph-builder"],
  "runtime/node": ["runtime", "artifacts", "graph-builder"],
  shakenet: ["runtime", "artifacts", "graph-builder"],
  "shakenet/node": ["shakenet", "runtime/node", "runtime", "artifacts", "graph-builder"],
  cli: ["shakenet/node", "shakenet", "runtime/node", "runtime", "artifacts", "graph-builder"],
  web: ["shakenet", "runtime", "artifacts", "graph-builder"],
  "web/site": ["web", "shakenet/node", "shakenet", "runtime/node", "runtime", "artifacts", "graph-builder"],
};

/** The one place with the project's name, which models and folders carry. */
const PROJECT = "graph-builder/project.ts";

/** The room of a file: the longest path of a room that it lies in. */
function roomOf(file: string): string {
  const rooms = Object.keys(below).filter((room) => file.startsWith(`${room}/`));
  return rooms.sort((a, b) => b.length - a.length)[0] ?? dirname(file);
}

function filesIn(rooms: readonly string[]): { readonly file: string; readonly text: string }[] {
  const files = rooms.flatMap((room) => {
    const names = readdirSync(join(root, room), { recursive: true, encoding: "utf8" });
    return names
      .filter((name) => name.endsWith(".ts"))
      .map((name) => `${room}/${name.replaceAll("\\", "/")}`);
  });
  return [...new Set(files)].sort().map((file) => ({ file, text: readFileSync(join(root, file), "utf8") }));
}

/** The files of ours that a file imports, and the modules of others. */
function importsOf(file: string, text: string): string[] {
  const specifiers = text.matchAll(/\b(?:from|import)\s*\(?\s*["']([^"'\n]+)["']/g);
  return [...specifiers].map(([, name = ""]) =>
    name.startsWith(".") ? normalize(join(dirname(file), name)) : name,
  );
}

describe("rooms", () => {
  test("import only from the rooms below them", () => {
    const wrong = filesIn(Object.keys(below)).flatMap(({ file, text }) => {
      const own = roomOf(file);
      const allowed = [own, ...(below[own] ?? [])];
      const imported = importsOf(file, text).filter((name) => name.endsWith(".ts"));
      return imported
        .filter((name) => !allowed.includes(roomOf(name)))
        .map((name) => `${file} imports ${name}`);
    });
    expect(wrong).toEqual([]);
  });

  test("are portable but for their folders node and the tools", () => {
    const portable = ["graph-builder", "artifacts", "runtime", "shakenet"];
    const wrong = filesIn(portable)
      .filter(({ file }) => !roomOf(file).endsWith("/node"))
      .filter(({ file, text }) =>
        importsOf(file, text).some((name) => /^(node:|onnxruntime-(node|web))/.test(name)),
      )
      .map(({ file }) => file);
    expect(wrong).toEqual([]);
  });

  test("below shakenet name no network", () => {
    const name = /shake-?net|shake-?shake|shake(forward|backward)/i;
    const named = filesIn(["graph-builder", "artifacts", "runtime"]).filter(({ text }) => name.test(text));
    expect(named.map(({ file }) => file)).toEqual([PROJECT]);
  });

  test("name data sets in runtime's data folders alone", () => {
    const named = filesIn(["graph-builder", "artifacts", "runtime"])
      .filter(({ file }) => !/^runtime\/(node\/)?data\//.test(file))
      .filter(({ text }) => /cifar|imagenet|mnist/i.test(text));
    expect(named.map(({ file }) => file)).toEqual([]);
  });
});

test("a line of a comment has at most 110 characters, unless it is an address", () => {
  const files = filesIn([...Object.keys(below), "bench", "examples"]);
  const long = files.flatMap(({ file, text }) =>
    text
      .split("\n")
      .flatMap((line, i) =>
        /^ *(\/\/|\/?\*)/.test(line) && line.length > 110 && !line.includes("https://")
          ? [`${file}:${i + 1}`]
          : [],
      ),
  );
  expect(long).toEqual([]);
});
