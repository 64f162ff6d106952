import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: [
      "**/*.long.test.ts",
      "test/accuracy/**",
      "test/browser/**",
      "test/interop/**",
      "test/package/**",
    ],
    setupFiles: ["test/support/check-passes.ts"],
    globalSetup: ["test/support/build.ts", "test/support/own-cache.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
  },
});
