import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/browser/*.test.ts"],
    globalSetup: ["test/support/build.ts", "test/browser/shared-folder.ts"],
    testTimeout: 3 * 60_000,
    expect: { poll: { timeout: 20_000 } },
    hookTimeout: 60_000,
    fileParallelism: false,
    // one process reads the modules once for all files
    isolate: false,
  },
});
