import type { Assets } from "../assets.ts";

declare const ASSETS: Assets;

/** The build replaces ASSETS by an object. */
export const assets: Assets = ASSETS;
