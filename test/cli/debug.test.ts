import { expect, test } from "vitest";
import { shakeWith, temporaryFolder } from "../support/shake.ts";

const folder = temporaryFolder();
const build = ["build-graph", "--width", "2", "--depth", "8", "--target", "standard", "--out", "built"];

test("SHAKE_DEBUG=passes prints on stderr what each pass did", async () => {
  const { code, stderr } = await shakeWith({ SHAKE_DEBUG: "passes" }, folder, ...build);
  expect(code).toBe(0);
  expect(stderr).toMatch(/^pass explicit-state: \d+ -> \d+ nodes, [\d.]+ ms$/m);
  expect(stderr).toMatch(/^pass merge-common-subexpressions: \d+ -> \d+ nodes, [\d.]+ ms$/m);
});

test("without SHAKE_DEBUG no pass is told of", async () => {
  const { stderr } = await shakeWith({ SHAKE_DEBUG: "" }, folder, ...build);
  expect(stderr).not.toContain("pass ");
});

test("a topic that does not exist is refused in one sentence", async () => {
  const { code, stderr } = await shakeWith({ SHAKE_DEBUG: "pases" }, folder, ...build);
  expect(code).toBe(2);
  expect(stderr).toBe("shake: SHAKE_DEBUG has no topic pases. Did you mean passes?\n");
});
