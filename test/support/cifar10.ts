import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "vitest";

const beside = fileURLToPath(new URL("../../../shared/data/cifar-10-batches-bin", import.meta.url));
const found = [process.env["SHAKE_CIFAR10_DIR"], beside].find(
  (path) => path !== undefined && existsSync(path),
);

/** The folder with the .bin files of CIFAR-10: SHAKE_CIFAR10_DIR, or a folder beside the repository. */
export const cifar10Dir = found ?? "CIFAR-10 is absent: set SHAKE_CIFAR10_DIR";

/** A test that needs CIFAR-10. It is skipped where CIFAR-10 is absent. */
export const testWithCifar10 = test.skipIf(found === undefined);
