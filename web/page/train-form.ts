import type { TrainChoices } from "../calls/training.ts";
import { addressWith } from "./address.ts";
import { deviceChoice } from "./device-choice.ts";

/** The settings of the form in which a training is chosen. */
export function readChoices(form: HTMLFormElement): TrainChoices {
  const data = new FormData(form);
  const number = (name: keyof TrainChoices) => Number(data.get(name));
  return {
    depth: number("depth"),
    width: number("width"),
    images: number("images"),
    epochs: number("epochs"),
    batchSize: number("batchSize"),
    learningRate: number("learningRate"),
    device: deviceChoice(data.get("device")),
  };
}

/** Fills the form with settings by their names. A name or a value that the form does not have is left out. */
export function fillForm(form: HTMLFormElement, settings: Iterable<readonly [string, string]>): void {
  for (const [name, value] of settings) {
    const field = form.elements.namedItem(name);
    if (field instanceof HTMLInputElement) field.value = value;
    const isChoice = field instanceof HTMLSelectElement;
    if (isChoice && [...field.options].some((option) => option.value === value)) field.value = value;
  }
}

/** The address of this page with the settings of the form. */
export function linkTo(form: HTMLFormElement): string {
  const settings = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (typeof value === "string") settings.set(name, value);
  return addressWith("train", settings);
}
