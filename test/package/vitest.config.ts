import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/package/*.test.ts"],
    testTimeout: 5 * 60_000,
    hookTimeout: 10 * 60_000,
  },
});
