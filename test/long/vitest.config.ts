import { defineConfig } from "vitest/config";
import quick from "../../vitest.config.ts";

/** Whole trainings that are cut and compared: with those of `npm test` they would take over five minutes. */
export default defineConfig({
  test: {
    ...quick.test,
    include: ["test/**/*.long.test.ts"],
    exclude: ["test/accuracy/**"],
    testTimeout: 180_000,
  },
});
