import { defineConfig } from "vitest/config";

export default defineConfig({ test: { include: ["test/interop/operators/write.ts"], testTimeout: 600_000 } });
