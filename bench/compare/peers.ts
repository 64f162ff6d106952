import { fileURLToPath } from "node:url";
import { installPackages, installVenv, type Tool } from "./installs.ts";

/** One of those that are compared: a program that trains the workload of a folder. */
export interface Peer {
  readonly label: string;
  /** Brings what it needs and returns the program that runs its script. Throws Error, saying why, where that cannot be had. */
  readonly install: () => Promise<Tool>;
  readonly script: string;
  /** After the folder. */
  readonly args: (threads: number) => readonly string[];
  /** Whether it averages the gradients of shares of the batch, one a thread. */
  readonly sharesBatch?: boolean;
  /** Whether it may take a smaller batch where a step of the whole takes too long. */
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

/** All peers in the order of the table. */
export const peers = {
  shakenet: ours("ShakeNet", () => ["cpu", "1"]),
  "shakenet-replicas": ours("ShakeNet, a replica a thread", (threads) => ["cpu", String(threads)], true),
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

/** Those whose faster one is what ratios are of. */
export const eagerPeers: readonly PeerName[] = ["torch", "torch-channels-last"];
