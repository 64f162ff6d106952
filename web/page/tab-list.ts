import { ClassifyTab } from "./classify.ts";
import { LazyTab } from "./lazy-tab.ts";
import { ShakeTab } from "./shake.ts";
import type { Tab } from "./tabs.ts";
import { TrainTab } from "./train.ts";

/** The tabs of the page, from left to right. A new one needs a line here and a section in index.html. */
export const tabs: readonly Tab[] = [
  { id: "classify", title: "Classify", create: (page) => new ClassifyTab(page) },
  { id: "shake", title: "Shake", create: (page) => new ShakeTab(page) },
  { id: "train", title: "Train", create: (page) => new TrainTab(page) },
  {
    id: "your-pictures",
    title: "Your pictures",
    create: (page) => new LazyTab(page, async () => (await import("./own/own-tab.ts")).OwnTab.open(page)),
  },
];
