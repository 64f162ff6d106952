import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/package/*.test.ts"],
    testTimeout: 2 * 60_000,
    hookTimeout: 5 * 60_000,
  },
});
