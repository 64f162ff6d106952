import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from "../../artifacts/checkpoint.ts";
import { fromFirst, type Link } from "./ranks.ts";

/**
 * The weights and running statistics of rank 0 on every rank: each rank has statistics of its own, and those
 * of rank 0 are evaluated and saved. Returns the given checkpoint where there is no link.
 */
export async function checkpointOfFirst(checkpoint: Checkpoint, link: Link | undefined): Promise<Checkpoint> {
  if (!link) return checkpoint;
  const own = link.rank === 0 ? encodeCheckpoint({ ...checkpoint, optimizer: undefined }) : undefined;
  return decodeCheckpoint(await fromFirst(link, own), "the checkpoint of rank 0");
}
