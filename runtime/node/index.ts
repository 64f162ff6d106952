/**
 * What needs Node: devices, files and folders, data sets on disk, replicas in threads, ONNX Runtime 1.19.2's
 * session.
 */
export * from "./chunks/chunked-thread.ts";
export { ModelCache } from "./compiled/model-cache.ts";
export * from "./data/digest.ts";
export * from "./data/load-dataset.ts";
export type { DivisionOptions } from "./data/own/division.ts";
export type { ListedPicture, PictureListing, PictureSplit } from "./data/own/listing.ts";
export {
  type ListedPictures,
  listPictures,
  type OwnPicture,
  OwnPictures,
  type OwnPicturesOptions,
} from "./data/own/own-pictures.ts";
export type { PackedPicture } from "./data/own/pack.ts";
export type { PackingOptions } from "./data/own/packing.ts";

export { type Colour, type PictureSize, readPicture, scalePictures } from "./data/pictures.ts";
export * from "./devices.ts";
export * from "./files.ts";
export * from "./folder.ts";
export { readExternalData, readModelFile, withDataBeside } from "./model-file.ts";
export { type Environment, type Launched, type LauncherName, launchedBy } from "./mpi/launcher.ts";
export { MpiLink, type RankName, type Traffic } from "./mpi/mpi-link.ts";
export { type Farewell, RankError } from "./mpi/rank-error.ts";
export * from "./ort-training/ort-training-session.ts";
export * from "./profile.ts";
export { ReplicaError } from "./replicas/replica-thread.ts";
export * from "./replicas/replicated-session.ts";
