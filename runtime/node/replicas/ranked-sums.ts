import { createHash } from "node:crypto";
import { deserialize, serialize } from "node:v8";
import type { Checkpoint } from "../../../artifacts/checkpoint.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import { bytesOf, gather, type Link, sumOverRanks } from "../../replicas/ranks.ts";
import type { Share } from "../../replicas/shares.ts";

/** What the replicas of all ranks make together. All ranks make the same calls in the same order. */
export class RankedSums {
  readonly link: Link;
  readonly #sums: Float32Array;

  /** `sums` is the row of the sums in the memory that the replicas of this process share. */
  constructor(link: Link, sums: Float32Array) {
    this.link = link;
    this.#sums = sums;
  }

  /** Replaces the gradients' sums of this process by those of all ranks. */
  add(): Promise<void> {
    return sumOverRanks(this.link, this.#sums);
  }

  /** The outputs of all ranks' shares of a batch, by those of this one. */
  async sharesOfAll(shares: readonly Share[]): Promise<readonly Share[]> {
    const all = await gather(this.link, serialize(shares));
    return all.flatMap((bytes): Share[] => deserialize(bytes));
  }

  /**
   * Throws UserError where parameters are not the same on all ranks: the same sums update the same
   * parameters, but processors of two kinds may round an optimizer's norm of the gradients differently.
   */
  async expectSame({ trainable }: Checkpoint): Promise<void> {
    const hash = createHash("sha256");
    for (const { data } of trainable.values()) hash.update(bytesOf(data));
    const digests = await gather(this.link, hash.digest());
    const [first] = digests;
    const other = digests.findIndex((digest) => first && Buffer.compare(digest, first) !== 0);
    if (other < 0) return;
    throw new UserError(
      `The parameters of rank ${other} are no longer those of rank 0: are the processors of the hosts of one kind?`,
      { code: "ranks-differ", details: { rank: other } },
    );
  }
}
