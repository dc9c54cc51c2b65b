import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Real processes, sockets and disks share two cores: more workers would only make them wait.
    maxWorkers: 2,
    reporters: ["default"],
  },
});
