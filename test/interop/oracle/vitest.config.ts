import { defineConfig } from "vitest/config";

export default defineConfig({ test: { include: ["test/interop/oracle/write.ts"], testTimeout: 600_000 } });
