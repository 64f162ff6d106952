// reads a checkpoint and writes what was read: recode-checkpoint.js INPUT OUTPUT

import { decodeCheckpoint, encodeCheckpoint, readFileBytes } from "../../dist/artifacts/index.js";
import { writeFileAtomic } from "../../dist/runtime/node/index.js";

const [input, output] = process.argv.slice(2);
await writeFileAtomic(output, encodeCheckpoint(decodeCheckpoint(await readFileBytes(input), input)));
