import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The rooms that compile models, or that decide what is compiled. */
const rooms = ["graph-builder", "artifacts", "runtime"];

/**
 * SHA-256 of the program files of the rooms that compile models, hexadecimal: another version of the package,
 * and one that somebody has edited, have another digest. Undefined where the files are not in their places,
 * as in a bundle.
 */
export function compilerDigest(
  root = fileURLToPath(new URL("../../../", import.meta.url)),
): string | undefined {
  const known = digests.get(root);
  if (known !== undefined) return known;
  try {
    const digest = digestOf(root);
    digests.set(root, digest);
    return digest;
  } catch {
    return undefined;
  }
}

/** The digests that this process has taken. */
const digests = new Map<string, string>();

function digestOf(root: string): string {
  const hash = createHash("sha256");
  for (const room of rooms) {
    const files = readdirSync(join(root, room), { recursive: true, encoding: "utf8" })
      .filter(isProgram)
      .sort();
    for (const file of files) {
      const bytes = readFileSync(join(root, room, file));
      hash.update(`${room}/${file} ${bytes.length}\n`).update(bytes);
    }
  }
  return hash.digest("hex");
}

function isProgram(file: string): boolean {
  return /\.[jt]s$/.test(file) && !file.endsWith(".d.ts");
}
