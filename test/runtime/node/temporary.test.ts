import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeFolderAtomic, writeFileAtomic } from "../../../runtime/node/index.ts";
import { removeTemporaryFiles, temporaryIn } from "../../../runtime/node/temporary.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "temporary-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** The names of temporary files of a living process, a dead one, one of another machine, an older version. */
async function names() {
  const living = basename(await temporaryIn(folder));
  const [, machine, pid, uuid] = /^\.(\w+)-(\d+)-\d*-(.*)\.tmp$/.exec(living) ?? [];
  return {
    living,
    // its number is in use, by a process that started later
    dead: `.${machine}-${pid}-1-${uuid}.tmp`,
    gone: `.${machine}-4194304-1-${uuid}.tmp`,
    elsewhere: `.00000000-1-1-${uuid}.tmp`,
    older: `.${uuid}.tmp`,
  };
}

test("what dead processes have left is removed, what a living one or another machine writes is not", async () => {
  const { living, dead, gone, elsewhere, older } = await names();
  for (const name of [living, gone, elsewhere, older]) await writeFile(join(folder, name), "half");
  await mkdir(join(folder, dead));
  await writeFile(join(folder, dead, "config.json"), "{}");
  await writeFile(join(folder, ".notes.tmp"), "not ours");
  await removeTemporaryFiles(folder);
  expect(await readdir(folder)).toEqual([".notes.tmp", elsewhere, living].sort());
  const dayAgo = Date.now() / 1000 - 25 * 60 * 60;
  await utimes(join(folder, elsewhere), dayAgo, dayAgo);
  await utimes(join(folder, living), dayAgo, dayAgo);
  await removeTemporaryFiles(folder);
  expect(await readdir(folder)).toEqual([".notes.tmp", living].sort());
});

test("the next file or folder that is written beside them removes them", async () => {
  const { dead, gone } = await names();
  for (const name of ["files", "folders"]) {
    const place = join(folder, name);
    await mkdir(join(place, dead), { recursive: true });
    await writeFile(join(place, gone), "half");
  }
  await writeFileAtomic(join(folder, "files", "model.onnx"), "x");
  expect(await readdir(join(folder, "files"))).toEqual(["model.onnx"]);
  await makeFolderAtomic(join(folder, "folders", "run"), (run) => writeFile(join(run, "config.json"), "{}"));
  expect(await readdir(join(folder, "folders"))).toEqual(["run"]);
});
