import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, expect, test } from "vitest";
import { compare } from "../../bench/compare/comparison.ts";
import { type Peer, peers, peersOf } from "../../bench/compare/peers.ts";
import { hasMpirun } from "../support/mpirun.ts";
import { temporaryFolder } from "../support/shake.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = temporaryFolder();
const tiny = { depth: 8, width: 2, batchSize: 4, threads: 2, rounds: 2, steps: 1, patience: 3 };

beforeAll(async () => {
  await promisify(execFile)(process.execPath, ["node_modules/typescript/bin/tsc", "-b", "bench"], {
    cwd: root,
  });
}, 60_000);

/** A peer that runs a statement for every line that it reads. */
function pretender(name: string, answer: string) {
  const script = join(folder, `${name}.cjs`);
  writeFileSync(
    script,
    `console.log('{"version": "0"}'); require("node:readline").createInterface(process.stdin).on("line", () => { ${answer} });`,
  );
  return { label: name, install: async () => process.execPath, script, args: () => [] };
}

/** The peer with the script that the build compiled. */
function built(name: "shakenet" | "shakenet-replicas" | "shakenet-chunks" | "shakenet-ranks"): Peer {
  const script = name === "shakenet-ranks" ? "train-shakenet-ranks" : "train-shakenet";
  return { ...peers[name], script: join(root, `dist/bench/compare/peers/${script}.js`) };
}

test("measures peers with the same losses, and refuses those with other losses, errors or a failed installation", async () => {
  const heard: string[] = [];
  const entrants = {
    shakenet: built("shakenet"),
    "shakenet-replicas": built("shakenet-replicas"),
    "shakenet-chunks": built("shakenet-chunks"),
    ...(hasMpirun ? { "shakenet-ranks": built("shakenet-ranks") } : {}),
    liar: pretender("liar", `console.log('{"ms": [1], "losses": [2.5]}')`),
    breaker: pretender("breaker", `throw new TypeError("no such kernel")`),
    killed: pretender("killed", `process.kill(process.pid, "SIGKILL")`),
    absent: {
      ...pretender("absent", ""),
      install: async () => Promise.reject(new Error("not for this machine")),
    },
  };
  const rows = await compare(tiny, entrants, folder, (line) => heard.push(line));
  expect(rows.map(({ name }) => name)).toEqual(Object.keys(entrants));
  const ours = hasMpirun ? 4 : 3;
  for (const row of rows.slice(0, ours)) {
    if (!("rates" in row)) throw new Error(`${row.name} was not measured: ${row.reason}`);
    expect(row).toMatchObject({
      batchSize: 4,
      steps: 2,
      version: expect.stringMatching(/^onnxruntime-node \d/),
    });
    expect(row.rates.every((rate) => rate > 0)).toBe(true);
    expect(row.rates).toHaveLength(2);
    expect(row.deviation).toBeLessThan(1e-5);
    expect(row.peakRssMb).toBeGreaterThan(40);
  }
  expect(rows.slice(ours)).toMatchObject([
    {
      reason: "it computes something else: its losses are 2.5000, 2.5000, 2.5000",
      deviation: expect.any(Number),
    },
    { reason: "TypeError: no such kernel" },
    { reason: "SIGKILL ended it, as happens where memory is short" },
    { reason: "not for this machine" },
  ]);
  expect(heard).toContain("round 2 of 2");
}, 180_000);

test("an evaluation classifies the batch by the exported network, with the loss of the evaluation model", async () => {
  const script = join(root, "dist/bench/compare/peers/train-shakenet.js");
  const { shakenet } = peersOf({ evaluates: true });
  if (!shakenet) throw new Error("ShakeNet evaluates");
  const place = join(folder, "evaluation");
  const [row] = await compare(
    { ...tiny, evaluates: true },
    { shakenet: { ...shakenet, script } },
    place,
    () => {},
  );
  expect(row).toMatchObject({ name: "shakenet", batchSize: 4, steps: 2 });
});
