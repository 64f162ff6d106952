import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { artifactFiles } from "../../../artifacts/index.ts";
import { readTrainingModels } from "../../../runtime/node/index.ts";
import { formatTable } from "../../format.ts";
import type { Report } from "./report.ts";

/**
 * The folder of training artifacts: one line for each file that is there, then the training model. Throws
 * UserError for a model that does not belong to the manifest.
 */
export async function inspectArtifacts(
  path: string,
  inspectFile: (path: string) => Promise<Report>,
): Promise<Report> {
  await readTrainingModels(path);
  const present = new Set(await readdir(path));
  const files = Object.entries(artifactFiles).filter(([, name]) => present.has(name));
  const reports = await Promise.all(
    files.map(async ([key, name]) => ({
      key,
      name,
      report: await inspectFile(join(path, name)),
    })),
  );
  const facts = {
    kind: "artifacts",
    ...Object.fromEntries(reports.map(({ key, report }) => [key, report.facts])),
  };
  const rows = reports.map(({ name, report: { facts: file } }) => [
    name,
    String(file["description"] ?? "the state before the first step"),
    typeof file["nodes"] === "number" ? String(file["nodes"]) : "",
  ]);
  const text = [formatTable(["file", "what it is", "nodes"], rows), "", reports[0]?.report.text ?? ""].join(
    "\n",
  );
  return { facts, text };
}
