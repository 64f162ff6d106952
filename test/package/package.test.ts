import { type ExecFileOptions, execFile } from "node:child_process";
import { cp, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, expect, test } from "vitest";
import { temporaryFolder, tinyRunFlags } from "../support/shake.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = temporaryFolder();
const project = join(folder, "project");
const run = promisify(execFile);

interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program in the empty project and returns how it ended, whatever its exit code. */
async function inProject(file: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const options: ExecFileOptions = { cwd: project, env: { ...process.env, ...env } };
  return new Promise<Finished>((resolve) => {
    execFile(file, [...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : Number(error.code ?? 1);
      resolve({ code, stdout: String(stdout), stderr: String(stderr) });
    });
  });
}

const shake = (...args: string[]) => inProject("npm", ["exec", "--no", "--", "shake", ...args]);

/** Packs a copy of the working tree, so that the `dist` that other tests use stays as it is. */
async function pack(): Promise<{ filename: string; files: readonly { path: string }[] }> {
  const copy = join(folder, "copy");
  const listed = await run("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
  });
  for (const file of listed.stdout.split("\0").filter(Boolean)) {
    await cp(join(root, file), join(copy, file), { recursive: true }).catch(ignoreDeleted);
  }
  await symlink(join(root, "node_modules"), join(copy, "node_modules"));
  const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", folder], { cwd: copy });
  const [packed] = JSON.parse(stdout.slice(stdout.indexOf("[\n")));
  return packed;
}

function ignoreDeleted(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}

let packed: Awaited<ReturnType<typeof pack>>;
let installed: Finished;

beforeAll(async () => {
  packed = await pack();
  await mkdir(project);
  await writeFile(join(project, "package.json"), '{ "private": true, "type": "module" }\n');
  // a value that the install script of onnxruntime-node refuses: it fails as it does without its download
  // host
  installed = await inProject("npm", ["install", "--prefer-offline", join(folder, packed.filename)], {
    ONNXRUNTIME_NODE_INSTALL: "no-such-thing",
  });
});

test("package-lock.json names no install script, so that npm 10 runs none, as allowScripts tells npm 11", async () => {
  expect(await readFile(join(root, "package-lock.json"), "utf8")).not.toContain("hasInstallScript");
});

test("the package holds the compiled rooms, its texts and nothing else", () => {
  const paths = packed.files.map(({ path }) => path);
  for (const path of [
    "LICENSE",
    "README.md",
    "package.json",
    "dist/cli/main.js",
    "dist/runtime/index.d.ts",
  ]) {
    expect(paths).toContain(path);
  }
  const expected =
    /^(LICENSE|models\/cifar10\.(onnx|checkpoint)|(README|CHANGELOG)\.md|package\.json|docs\/[\w-]+\.md|examples\/.*\.(ts|md|html|py|cs)|dist\/(artifacts|cli|graph-builder|runtime|shakenet)\/.*\.(js|d\.ts|js\.map))$/;
  expect(paths.filter((path) => !expected.test(path))).toEqual([]);
});

test("every source map holds its source", async () => {
  const maps = packed.files.map(({ path }) => path).filter((path) => path.endsWith(".map"));
  expect(maps.length).toBeGreaterThan(50);
  for (const path of maps) {
    const map = JSON.parse(await readFile(join(project, "node_modules/shakenet", path), "utf8"));
    expect(map.sourcesContent?.[0]?.length, path).toBeGreaterThan(0);
  }
});

test("it installs where the install script of onnxruntime-node fails, and shake says the command that is left", async () => {
  expect(installed).toMatchObject({ code: 0 });
  const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  expect(await shake("--version")).toMatchObject({ code: 0, stdout: `${version}\n` });
  const refused = await shake("train", ...tinyRunFlags);
  expect(refused.code).toBe(2);
  const [, command = ""] = /not installed: run `(.*)`\.\n$/.exec(refused.stderr) ?? [];
  expect(command).toMatch(/^ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node@\d+\.\d+\.\d+$/);
  expect(await inProject("sh", ["-c", `${command} --prefer-offline`])).toMatchObject({ code: 0 });
  const trained = await shake("train", ...tinyRunFlags);
  expect(trained).toMatchObject({ code: 0, stdout: expect.stringContaining("Test accuracy") });
});

test("what overrides fix here is what users get too", async () => {
  const { overrides } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  const { packages } = JSON.parse(await readFile(join(project, "package-lock.json"), "utf8"));
  const lock = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8"));
  for (const name of Object.keys(overrides)) {
    const places = Object.keys(packages).filter((path) => path.endsWith(`node_modules/${name}`));
    const versions = places.map((path) => packages[path].version);
    expect(versions, name).toEqual([lock.packages[`node_modules/${name}`].version]);
  }
});

test("doctor works where optional packages are missing, and advises what works there", async () => {
  for (const name of ["onnxruntime-node", "onnxruntime-web-training", "sharp"])
    await rm(join(project, "node_modules", name), { recursive: true, force: true });
  const { code, stdout } = await shake("doctor", "--json");
  expect(code).toBe(0);
  const { devices } = JSON.parse(stdout);
  const working = devices.filter(({ works }: { works: boolean }) => works);
  expect(working.map(({ device }: { device: string }) => device)).toEqual(["wasm"]);
  expect(stdout).not.toMatch(/npm run/);
});

test("every entry of the package is imported, and TypeScript finds its types", async () => {
  const { exports } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  const entries = Object.keys(exports).filter((entry) => !entry.endsWith(".json"));
  expect(entries.length).toBeGreaterThan(2);
  const lines = entries.flatMap((entry, index) => [
    `import * as entry${index} from "${entry.replace(".", "shakenet")}";`,
    `console.log(Object.keys(entry${index}).length > 0);`,
  ]);
  await writeFile(join(project, "entries.js"), lines.join("\n"));
  const wrong = [
    'import { TrainingSession } from "shakenet/runtime";',
    "const wrongEntry: string = entry0;",
    "const wrongClass: string = TrainingSession;",
  ];
  await writeFile(join(project, "entries.ts"), [...lines, ...wrong, ""].join("\n"));
  const imported = await inProject(process.execPath, ["entries.js"]);
  expect(imported).toEqual({ code: 0, stdout: "true\n".repeat(entries.length), stderr: "" });
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const strict = ["--strict", "--noEmit", "--module", "nodenext", "--target", "es2023", "--skipLibCheck"];
  const lib = ["--lib", "es2023,dom", "entries.ts"];
  const checked = await inProject(process.execPath, [tsc, ...strict, ...lib]);
  expect(checked.stdout.trim().split("\n")).toEqual([
    expect.stringMatching(/^entries\.ts\(\d+,\d+\): error TS2322/),
    expect.stringMatching(/^entries\.ts\(\d+,\d+\): error TS2322: Type 'typeof TrainingSession' /),
  ]);
});
