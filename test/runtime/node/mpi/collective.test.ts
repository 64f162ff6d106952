import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { at } from "../../../../graph-builder/at.ts";
import { SharedState } from "../../../../runtime/replicas/collective.ts";
import { gather, type Link, sumOverRanks } from "../../../../runtime/replicas/ranks.ts";
import { type CollectiveCase, collectiveCases } from "../../../support/collective-cases.ts";
import { memoryLinks } from "../../../support/memory-links.ts";
import { dist, hasMpirun, scriptRanks } from "../../../support/mpirun.ts";
import { temporaryFolder } from "../../../support/shake.ts";

const folder = temporaryFolder();

/** The sums that the replicas of one process get, which are the `from`th of all and those that follow. */
async function sumsOf({ sizes, replicas: actions }: CollectiveCase, replicas: number, link?: Link) {
  const layout = { sizes, replicas, hasRanks: link !== undefined };
  const memory = SharedState.allocate(layout);
  const states = Array.from({ length: replicas }, (_, i) => new SharedState(memory, layout, i));
  for (const [i, state] of states.entries()) {
    for (const action of at(actions, (link?.rank ?? 0) * replicas + i)) {
      if (action === "clear") state.clear();
      else {
        const gradients = action.add.map((row) => Float32Array.from(row));
        state.add(gradients, action.weight, action.reset);
      }
    }
  }
  for (const state of states) state.combine(sizes.keys());
  const sums = SharedState.sums(memory, layout);
  if (link && sums) await sumOverRanks(link, sums);
  return states.map((state) => {
    const gradients = sizes.map((size) => new Float32Array(size));
    state.sum(gradients, sizes.keys());
    return gradients.map((gradient) => [...gradient]);
  });
}

const arrangements = [
  { ranks: 1, replicas: 4 },
  { ranks: 2, replicas: 2 },
  { ranks: 4, replicas: 1 },
];

/** Every replica gets the expected sums. */
const expected = collectiveCases.map(({ sums }) => Array.from({ length: 4 }, () => sums));

describe.each(arrangements)("with $ranks processes of $replicas replicas", ({ ranks, replicas }) => {
  test.each(collectiveCases)("$title", async (given) => {
    const links = ranks === 1 ? [undefined] : memoryLinks(ranks);
    const all = await Promise.all(links.map((link) => sumsOf(given, replicas, link)));
    expect(all.flat()).toEqual(Array.from({ length: 4 }, () => given.sums));
  });

  test.runIf(hasMpirun && ranks > 1)("the same sums come from MPI, where there is an mpirun", async () => {
    const cases = join(folder, "cases.json");
    writeFileSync(cases, JSON.stringify(collectiveCases));
    const { code, stdout, stderr } = await scriptRanks(
      folder,
      ranks,
      "mpi-rank.mjs",
      dist,
      cases,
      String(replicas),
    );
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toEqual(expected);
  });
});

test("every rank gets the bytes of all ranks, of any lengths", async () => {
  const own = [Uint8Array.of(1, 2, 3), new Uint8Array(0), Uint8Array.of(4)];
  const all = await Promise.all(memoryLinks(3).map((link) => gather(link, at(own, link.rank))));
  for (const parts of all) expect(parts.map((part) => [...part])).toEqual(own.map((part) => [...part]));
});
