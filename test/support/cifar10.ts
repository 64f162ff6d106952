import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "vitest";

const beside = fileURLToPath(new URL("../../../shared/data/cifar-10-batches-bin", import.meta.url));
const found = [process.env["SHAKE_CIFAR10_DIR"], beside].find(
  (path) => path !== undefined && existsSync(path),
);

/** The folder of the real CIFAR-10's .bin files: SHAKE_CIFAR10_DIR, or ../shared/data beside the repository. */
export const cifar10Dir = found ?? "CIFAR-10 is absent: set SHAKE_CIFAR10_DIR";

/** A test that needs the real CIFAR-10, skipped where it is absent. */
export const testWithCifar10 = test.skipIf(found === undefined);
