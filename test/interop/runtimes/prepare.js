// prepare.js RUN FOLDER writes what a run's exported model is compared with:
// unfolded.onnx, the network layer by layer with the checkpoint's tensors under their names; settings.json,
// the network's settings; images.bin, up to 1,000 test images of the run's data as raw pixels [images, 3, 32,
// 32]

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createModel, encodeModel } from "../../../dist/graph-builder/index.js";
import { loadDataset } from "../../../dist/runtime/node/index.js";
import { trainedGraph } from "../../../dist/shakenet/index.js";
import { openRun } from "../../../dist/shakenet/node/run.js";
import { checkpointSettings } from "../../../dist/shakenet/provenance.js";

const [run, folder] = process.argv.slice(2);
const directory = await openRun(run);
const checkpoint = await directory.checkpoint("last");
const settings = checkpointSettings(checkpoint, run);
const { data, dataDir } = directory.config;
const { images } = await loadDataset(data, { split: "test", limit: 1000, dataDir });

await writeFile(join(folder, "unfolded.onnx"), encodeModel(createModel(trainedGraph(settings, checkpoint))));
await writeFile(join(folder, "settings.json"), JSON.stringify({ ...settings, data }));
await writeFile(join(folder, "images.bin"), images);
