import type { Assets } from "../assets.ts";

declare const ASSETS: Assets;

/** Put in place when the page is built. */
export const assets: Assets = ASSETS;
