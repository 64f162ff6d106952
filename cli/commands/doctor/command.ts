import type { Command, GivenOf } from "../../command.ts";

const settings = ["config", "json"] as const;

/** `shake doctor`: the devices of this machine, each tested by training steps. */
export const doctorCommand: Command<(typeof settings)[number]> = {
  name: "doctor",
  summary: "show which devices of this machine can train",
  help: "Shows this machine, takes a training step on every device that ONNX Runtime offers here, and says what CUDA and MPI lack.",
  settings,
  load: () => import("./run.ts"),
};

export type DoctorGiven = GivenOf<typeof doctorCommand>;
