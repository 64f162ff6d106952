import * as z from "zod/mini";
import { parseJson } from "../artifacts/json.ts";
import { UserError } from "../graph-builder/errors.ts";

/**
 * The names of the classes in a model's metadata; an empty list where the metadata have none, and, told to
 * `onNote`, where they are no JSON list of texts.
 */
export function classNamesIn(
  { class_names = "[]" }: Readonly<Record<string, string>>,
  onNote: (sentence: string) => void = () => {},
): readonly string[] {
  try {
    return parseJson(z.array(z.string()), class_names, {
      where: "The metadata class_names",
      code: "model-damaged",
    });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    onNote(`${error.message} The classes have numbers in place of names.`);
    return [];
  }
}
