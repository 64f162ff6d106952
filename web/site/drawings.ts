import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Drawing } from "../assets.ts";

/** Drawn pictures of the classes of CIFAR-10, `<class>-<number>.svg`; web/pictures/README.md says whose. */
const FOLDER = join("web", "pictures", "cifar10");

/** The drawings, one of each class and then another of each. */
export async function drawings(): Promise<Drawing[]> {
  const names = (await readdir(FOLDER)).filter((name) => name.endsWith(".svg"));
  const numbered = names.map((name) => basename(name, ".svg").split("-"));
  const ordered = numbered.sort(
    ([a = "", m = ""], [b = "", n = ""]) => Number(m) - Number(n) || (a < b ? -1 : 1),
  );
  return Promise.all(
    ordered.map(async ([className = "", number]) => ({
      className,
      svg: await readFile(join(FOLDER, `${className}-${number}.svg`), "utf8"),
    })),
  );
}
