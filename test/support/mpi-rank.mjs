// One rank of test/runtime/node/mpi/collective.test.ts: node mpi-rank.mjs DIST CASES.json REPLICAS_PER_RANK
// Rank 0 prints the sums of every rank's replicas as JSON.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [dist, file, replicasText] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(join(dist, path)).href);
const { launchedBy } = await load("runtime/node/mpi/launcher.js");
const { MpiLink } = await load("runtime/node/mpi/mpi-link.js");
const { SharedState } = await load("runtime/replicas/collective.js");
const { gather, sumOverRanks } = await load("runtime/replicas/ranks.js");

const replicas = Number(replicasText);
const link = await MpiLink.join(launchedBy(process.env));
const results = [];
for (const { sizes, replicas: actions } of JSON.parse(readFileSync(file, "utf8"))) {
  const layout = { sizes, replicas, hasRanks: true };
  const memory = SharedState.allocate(layout);
  const states = Array.from({ length: replicas }, (_, i) => new SharedState(memory, layout, i));
  for (const [i, state] of states.entries()) {
    for (const action of actions[link.rank * replicas + i]) {
      if (action === "clear") state.clear();
      else
        state.add(
          action.add.map((row) => Float32Array.from(row)),
          action.weight,
          action.reset,
        );
    }
  }
  for (const state of states) state.combine(sizes.keys());
  await sumOverRanks(link, SharedState.sums(memory, layout));
  const sums = states.map((state) => {
    const gradients = sizes.map((size) => new Float32Array(size));
    state.sum(gradients, sizes.keys());
    return gradients.map((gradient) => [...gradient]);
  });
  const all = await gather(link, Buffer.from(JSON.stringify(sums)));
  results.push(all.flatMap((bytes) => JSON.parse(Buffer.from(bytes).toString())));
}
if (link.rank === 0) process.stdout.write(JSON.stringify(results));
const done = { code: 0, reason: "" };
link.announce(done);
const failed = await link.farewells(done, 0);
await link.end(failed.size);
