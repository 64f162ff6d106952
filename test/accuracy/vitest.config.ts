import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/accuracy/*.test.ts"],
    globalSetup: ["test/support/build.ts"],
    testTimeout: 40 * 60_000,
    fileParallelism: false,
  },
});
