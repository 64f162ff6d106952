// reads a checkpoint and writes what was read: recode-checkpoint.js INPUT OUTPUT
import {
  decodeCheckpoint,
  encodeCheckpoint,
  readFileBytes,
  writeFileAtomic,
} from "../../dist/artifacts/index.js";

const [input, output] = process.argv.slice(2);
await writeFileAtomic(output, encodeCheckpoint(decodeCheckpoint(await readFileBytes(input), input)));
