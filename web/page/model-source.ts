import { UserError } from "../../graph-builder/errors.ts";
import type { ModelFile } from "../calls/model.ts";
import { readAddress } from "./address.ts";
import { assets } from "./assets.ts";

/**
 * The model that the page opens first: that of the address, as in `#classify?model=models/mine.onnx`, or the
 * one that the page was built with; undefined where there is neither. Throws UserError where it cannot be
 * loaded.
 */
export async function firstModel(): Promise<ModelFile | undefined> {
  const linked = readAddress().settings.get("model");
  if (linked !== null) return linkedModel(linked);
  if (!assets.model) return undefined;
  const { name, onnx, checkpoint } = assets.model;
  const [bytes, trained] = await Promise.all([fetchBytes(onnx), fetchBytes(checkpoint)]);
  return { name, bytes, checkpoint: trained };
}

/** The bytes of a file that the user chose. Throws UserError for a folder. */
export async function modelIn(file: File): Promise<ModelFile> {
  try {
    return { name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) };
  } catch {
    throw new UserError(`${file.name} cannot be read: drop a file, and no folder.`, { code: "file-missing" });
  }
}

async function linkedModel(link: string): Promise<ModelFile> {
  const url = URL.canParse(link, document.baseURI) ? new URL(link, document.baseURI) : undefined;
  if (!url || !/^https?:$/.test(url.protocol))
    throw new UserError(`The link names the model ${link}, which is no address of a file.`, {
      code: "download-failed",
    });
  const name = decoded(url.pathname.split("/").at(-1) ?? "") || url.host;
  return { name, bytes: await fetchBytes(url.href) };
}

/** A part of an address as people write it; as it is where a % in it stands for no character. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

async function fetchBytes(path: string): Promise<Uint8Array> {
  const response = await fetch(path, { cache: "no-cache" }).catch(() => undefined);
  if (!response?.ok)
    throw new UserError(`The model could not be loaded from ${path}: drop another model on the page.`, {
      code: "download-failed",
    });
  return new Uint8Array(await response.arrayBuffer());
}
