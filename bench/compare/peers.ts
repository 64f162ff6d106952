import { fileURLToPath } from "node:url";
import { expectProgram, installPackages, installVenv, type Tool } from "./installs.ts";
import { MODEL_VENV, models } from "./models.ts";
import type { Plan } from "./options.ts";
import type { PeerSignals } from "./peer-process.ts";

/** What starts a peer's program several times, and passes its signals on. */
export interface Launcher {
  readonly words: (threads: number) => readonly string[];
  /** The signals that stop all its processes and end all of them. */
  readonly signals: PeerSignals;
}

/** A program that is compared. It trains the workload of a folder. */
export interface Peer {
  readonly label: string;
  /**
   * Installs its packages. Returns the program that runs its script. Throws Error with the reason where the
   * packages cannot be installed.
   */
  readonly install: () => Promise<Tool>;
  readonly script: string;
  /**
   * The words in front of the program, and the signals of what they start: a launcher of several processes.
   */
  readonly launcher?: Launcher;
  /** The arguments after the folder. */
  readonly args: (threads: number) => readonly string[];
  /** Whether it splits the batch among replicas, one per thread, and averages their gradients. */
  readonly sharesBatch?: boolean;
  /** Whether it may train smaller batches where a step takes too long. */
  readonly mayShrink?: boolean;
}

const scripts = fileURLToPath(new URL("../../../bench/compare/peers/", import.meta.url));
const compiled = fileURLToPath(new URL("peers/", import.meta.url));

function ours(label: string, args: Peer["args"], sharesBatch = false): Peer {
  return {
    label,
    install: async () => process.execPath,
    script: `${compiled}train-shakenet.js`,
    args,
    sharesBatch,
  };
}

function python(label: string, venv: string, script: string, ...args: string[]): Peer {
  return { label, install: () => installVenv(venv), script: scripts + script, args: () => args };
}

/** Open MPI's mpirun, which stops its ranks where it gets SIGTSTP, and ends them where it gets SIGTERM. */
const mpirun: Launcher = {
  words: (threads) => [
    ...["mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none"],
    ...["--mca", "orte_forward_job_control", "1", "-n", String(threads)],
  ],
  signals: { stop: "SIGTSTP", kill: "SIGTERM", stopMs: 200 },
};

/** All peers of our own network in the order of the table. */
export const peers = {
  shakenet: ours("ShakeNet", () => ["cpu", "1"]),
  "shakenet-replicas": ours("ShakeNet, a replica per thread", (threads) => ["cpu", String(threads)], true),
  "shakenet-ranks": {
    label: "ShakeNet, a rank of MPI per thread",
    install: async () => {
      await expectProgram("mpirun", "apt-get install openmpi-bin");
      return process.execPath;
    },
    script: `${compiled}train-shakenet-ranks.js`,
    launcher: mpirun,
    args: () => [],
    sharesBatch: true,
  },
  "shakenet-chunks": ours("ShakeNet, all steps of a turn in one call", () => ["cpu", "1", "chunk"]),
  "shakenet-wasm": ours("ShakeNet, wasm in Node", () => ["wasm", "1"]),
  "shakenet-webgpu": {
    label: "ShakeNet, WebGPU in Chromium",
    install: async () => process.execPath,
    script: `${compiled}train-shakenet-webgpu.js`,
    args: () => [],
    mayShrink: true,
  },
  torch: python("PyTorch eager, NCHW", "torch", "train_torch.py"),
  "torch-channels-last": python("PyTorch eager, channels_last", "torch", "train_torch.py", "channels_last"),
  "torch-compiled": python("PyTorch compiled", "torch", "train_torch.py", "compiled"),
  jax: python("JAX", "jax", "train_jax.py"),
  tensorflow: python("TensorFlow", "tensorflow", "train_tensorflow.py"),
  "onnxruntime-training": python("onnxruntime-training", "onnxruntime-training", "train_ort_training.py"),
  tfjs: {
    label: "TensorFlow.js, wasm in Node",
    install: installPackages,
    script: `${scripts}train-tfjs.js`,
    args: () => [],
    mayShrink: true,
  },
} as const satisfies Readonly<Record<string, Peer>>;

export type PeerName = keyof typeof peers;
export const peerNames = Object.keys(peers) as readonly PeerName[];

/** The peers that train or evaluate our own network, or train a foreign model, in the order of the table. */
export function peersOf({
  model,
  evaluates,
}: Pick<Plan, "model" | "evaluates">): Partial<Readonly<Record<PeerName, Peer>>> {
  if (evaluates) return evaluatingPeers();
  if (model === undefined) return peers;
  const isImages = models[model].unit === "images";
  const torch = (label: string, ...args: string[]) =>
    python(label, MODEL_VENV, "train_torch_model.py", ...args);
  return {
    shakenet: peers.shakenet,
    torch: torch(isImages ? peers.torch.label : "PyTorch eager"),
    ...(isImages && {
      "torch-channels-last": torch(peers["torch-channels-last"].label, "channels_last"),
    }),
    "onnxruntime-training": python(peers["onnxruntime-training"].label, MODEL_VENV, "train_ort_model.py"),
  };
}

/** The peers that can be told to classify the batch. */
function evaluatingPeers(): Partial<Readonly<Record<PeerName, Peer>>> {
  const told = (peer: Peer): Peer => ({ ...peer, args: (threads) => [...peer.args(threads), "evaluate"] });
  return {
    shakenet: told(peers.shakenet),
    torch: told(peers.torch),
    "torch-channels-last": told(peers["torch-channels-last"]),
    "torch-compiled": told(peers["torch-compiled"]),
  };
}

/** The faster one of these peers is the base of the ratios. */
export const eagerPeers: readonly PeerName[] = ["torch", "torch-channels-last"];
