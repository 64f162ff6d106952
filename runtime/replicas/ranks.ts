import { at } from "../../graph-builder/at.ts";
import { sumInto } from "./sum.ts";

/** The connections of a rank to all the others. A rank is one of several processes that train together. */
export interface Link {
  /** The number of this process, counted from 0. */
  readonly rank: number;
  readonly size: number;
  /**
   * Sends `outgoing[r]` to every other rank r, and fills `incoming[r]` with the bytes of rank r. The other
   * rank must expect as many bytes. The entries of this rank are left alone. All ranks make the same calls in
   * the same order. Throws where another rank has failed.
   */
  exchange(outgoing: readonly Uint8Array[], incoming: readonly Uint8Array[]): Promise<void>;
}

const nothing = new Uint8Array(0);

/** Sends bytes to all ranks. Returns the bytes of every rank, in the order of the ranks. */
export async function gather(link: Link, bytes: Uint8Array): Promise<Uint8Array[]> {
  const { rank, size } = link;
  const toAll = (own: Uint8Array) => Array.from({ length: size }, () => own);
  const lengths = toAll(nothing).map(() => buffer(Float64Array.BYTES_PER_ELEMENT));
  await link.exchange(toAll(bytesOf(Float64Array.of(bytes.length))), lengths);
  const parts = lengths.map((length, r) => {
    if (r === rank) return bytes;
    return buffer(new DataView(length.buffer).getFloat64(0, IS_LITTLE_ENDIAN));
  });
  await link.exchange(toAll(bytes), parts);
  return parts;
}

/** Sends the bytes of rank 0 to all ranks and returns them. What the other ranks give is not looked at. */
export async function fromFirst(link: Link, bytes: Uint8Array = nothing): Promise<Uint8Array> {
  return at(await gather(link, link.rank === 0 ? bytes : nothing), 0);
}

/**
 * Replaces values by their sum over all ranks, in the order of `sumInto`, so that every rank gets the same
 * bits. A rank sums one contiguous shard of all ranks' values and sends it to the others (reduce-scatter,
 * then all-gather): it sends 2 (ranks - 1) / ranks times the bytes of the values.
 */
export async function sumOverRanks(link: Link, values: Float32Array): Promise<void> {
  const { rank, size } = link;
  const shards = Array.from({ length: size }, (_, r) =>
    values.subarray(Math.floor((r * values.length) / size), Math.floor(((r + 1) * values.length) / size)),
  );
  const own = at(shards, rank);
  const rows = shards.map((_, r) => (r === rank ? own : new Float32Array(own.length)));
  await link.exchange(shards.map(bytesOf), rows.map(bytesOf));
  own.set(sumInto(new Float32Array(own.length), rows));
  await link.exchange(
    shards.map(() => bytesOf(own)),
    shards.map(bytesOf),
  );
}

const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** A view whose memory is never moved by the garbage collector, unlike that of a short typed array. */
function buffer(length: number): Uint8Array {
  return new Uint8Array(new ArrayBuffer(length));
}

/** The bytes of a view. */
export function bytesOf({ buffer: memory, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(memory, byteOffset, byteLength);
}
