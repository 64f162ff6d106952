import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Compiles the project once before the tests, because some tests run the compiled `shake`. */
export default function setup(): void {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", "-b"], { cwd: root, stdio: "inherit" });
}
