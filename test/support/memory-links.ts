import { at } from "../../graph-builder/at.ts";
import type { Link } from "../../runtime/replicas/ranks.ts";

/** Links of ranks that are in one process: an exchange ends when all ranks have called it. */
export function memoryLinks(size: number): Link[] {
  let waiting: { readonly outgoing: readonly Uint8Array[]; resolve(): void }[] = [];
  let sent = new Map<number, readonly Uint8Array[]>();
  return Array.from({ length: size }, (_, rank) => ({
    rank,
    size,
    async exchange(outgoing, incoming) {
      const own = sent;
      own.set(
        rank,
        outgoing.map((bytes) => bytes.slice()),
      );
      await new Promise<void>((resolve) => {
        waiting.push({ outgoing, resolve });
        if (waiting.length < size) return;
        for (const one of waiting) one.resolve();
        [waiting, sent] = [[], new Map()];
      });
      for (const [peer, bytes] of own) if (peer !== rank) at(incoming, peer).set(at(bytes, rank));
    },
  }));
}
