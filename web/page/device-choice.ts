import { type DeviceChoice, deviceNames } from "../calls/model.ts";

const choices: readonly DeviceChoice[] = ["auto", ...deviceNames];

/** The device that a value of a form names. Throws RangeError for another value. */
export function deviceChoice(value: unknown): DeviceChoice {
  const choice = choices.find((known) => known === value);
  if (choice === undefined) throw new RangeError(`there is no device ${value}`);
  return choice;
}
