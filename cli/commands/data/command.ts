import type { Command, GivenOf } from "../../command.ts";

const settings = ["data", "imageSize", "valSplit", "splitSeed", "classMap", "out", "config", "json"] as const;

/** `shake data`: what is in a folder of pictures, before anything is trained on it. */
export const dataCommand: Command<(typeof settings)[number]> = {
  name: "data",
  summary: "look at a folder of pictures before training on it",
  help: "Counts the pictures of each class and split, lists broken and equal ones, shows their sizes, and draws some of each class on a contact sheet.",
  settings,
  settingHelp: {
    data: "folder of pictures, a .zip or .tar of one, or a .csv of path,label",
    imageSize: "side of a picture on the contact sheet, in pixels [default: 64]",
    out: "path of the contact sheet [default: contact-sheet.png]",
  },
  positional: "data",
  load: () => import("./run.ts"),
};

export type DataGiven = GivenOf<typeof dataCommand>;
