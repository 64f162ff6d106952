import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/screenshots/*.shots.ts"],
    globalSetup: ["test/support/build.ts"],
    testTimeout: 15 * 60_000,
    hookTimeout: 10 * 60_000,
    fileParallelism: false,
  },
});
