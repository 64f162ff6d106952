// Joins the results of a run into one file: join-results.mjs RESULTS
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [folder = "."] = process.argv.slice(2);
const joined = {};
for (const name of ["shakenet", "pytorch"]) {
  const path = join(folder, `${name}.json`);
  if (!existsSync(path)) continue;
  joined[name] = JSON.parse(readFileSync(path, "utf8"));
  rmSync(path);
}
writeFileSync(join(folder, "gpu.json"), `${JSON.stringify(joined, null, 1)}\n`);
