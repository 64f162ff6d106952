import type { Dice } from "./dice.ts";

const texts = [
  "null",
  "{}",
  "[]",
  "-5",
  "1e999",
  '"x"',
  "true",
  "",
  "\u001b[2J",
  "9007199254740993",
] as const;

/** A damaged copy of a file: one to three small changes. */
export function mutated(bytes: Uint8Array, dice: Dice, isText: boolean): Uint8Array {
  let result = bytes;
  for (let i = dice.below(3); i >= 0; i--)
    result = isText && dice.below(2) === 0 ? retold(result, dice) : altered(result, dice);
  return result;
}

/** Replaces a value of a JSON text. */
function retold(bytes: Uint8Array, dice: Dice): Uint8Array {
  const text = new TextDecoder().decode(bytes);
  const values = [...text.matchAll(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|true|false|null/gi)];
  const chosen = values[dice.below(Math.max(1, values.length))];
  if (!chosen) return bytes;
  const rest = text.slice(chosen.index + chosen[0].length);
  return new TextEncoder().encode(`${text.slice(0, chosen.index)}${dice.of(texts)}${rest}`);
}

function altered(bytes: Uint8Array, dice: Dice): Uint8Array {
  const at = dice.below(Math.max(1, bytes.length));
  const length = 1 + dice.below(dice.of([4, 64, 4096]));
  const joined = (...parts: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(parts));
  const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at + length)];
  switch (dice.below(7)) {
    case 0: {
      const copy = bytes.slice();
      copy[at] = (copy[at] ?? 0) ^ (1 << dice.below(8));
      return copy;
    }
    case 1: {
      const copy = bytes.slice();
      copy[at] = dice.of([0, 0x7f, 0x80, 0xff, dice.below(256)]);
      return copy;
    }
    case 2:
      return bytes.slice(0, at);
    case 3:
      return joined(head, tail);
    case 4:
      return joined(
        head,
        Uint8Array.from({ length: Math.min(length, 64) }, () => dice.below(256)),
        bytes.subarray(at),
      );
    case 5:
      return joined(head, bytes.subarray(at, at + length), bytes.subarray(at));
    default:
      return joined(head, new Uint8Array(Math.min(length, bytes.length - at)).fill(dice.of([0, 0xff])), tail);
  }
}
