import { counted } from "../../../artifacts/counted.ts";
import {
  type CoveredParameter,
  type Obstacle,
  type TrainingCoverage,
  trainingCoverage,
} from "../../../artifacts/index.ts";
import { listed } from "../../../artifacts/listed.ts";
import type { Model } from "../../../graph-builder/index.ts";
import { constantsTable } from "../../constants-table.ts";
import { formatFields, formatLarge, formatTable } from "../../format.ts";
import type { Report } from "./report.ts";

/** What of a model can be trained, and what keeps the rest from it. */
export function inspectTraining(model: Model, path: string): Report {
  const coverage = trainingCoverage(model);
  const { outputs, parameters, obstacles, constants } = coverage;
  const facts = {
    kind: "training",
    outputs: outputs.map(({ name, type, reason }) => ({ name, type, reason })),
    parameters: parameters.map(({ name, shape, values, layers, trainableFrom, reason }) => ({
      name,
      shape,
      values,
      read_by: layers.map(({ node, opType, module }) => ({ node, operator: opType, module })),
      trainable: trainableFrom.length > 0,
      trainable_from: trainableFrom,
      reason,
    })),
    obstacles: obstacles.map(({ node, opType, reason, outputs: behind, parameters: kept }) => ({
      node,
      operator: opType,
      reason,
      outputs: behind,
      parameters: kept,
    })),
    constants,
  };
  const sections = [
    summaryOf(coverage, path),
    ...parameterTable(parameters, outputs.length > 1),
    ...obstacles.map(describeObstacle),
    ...otherReasons(coverage),
    ...constantsTable(constants),
  ];
  return { facts, text: sections.join("\n\n"), model };
}

function summaryOf({ outputs, parameters, obstacles }: TrainingCoverage, path: string): string {
  const trainable = parameters.filter(({ reason }) => reason === undefined);
  const sum = (list: readonly CoveredParameter[]) => list.reduce((total, { values }) => total + values, 0);
  return formatFields({
    model: path,
    outputs: outputs
      .map(({ name, type, reason }) => (reason === undefined ? `${name} ${type}` : `${name}: ${reason}`))
      .join("; "),
    trainable: `${trainable.length} of ${parameters.length} parameters, ${formatLarge(sum(trainable))} of ${formatLarge(sum(parameters))} values`,
    obstacles: obstacles.length,
  });
}

function parameterTable(parameters: readonly CoveredParameter[], isMany: boolean): string[] {
  if (parameters.length === 0) return [];
  const rows = parameters.map(({ name, shape, values, layers, trainableFrom }) => [
    name,
    `[${shape.join(", ")}]`,
    values,
    trainableFrom.length > 0 ? (isMany ? `from ${trainableFrom.join(", ")}` : "yes") : "no",
    layerOf(layers),
  ]);
  return [formatTable(["parameter", "shape", "values", "trainable", "read by"], rows)];
}

function layerOf([first, ...others]: CoveredParameter["layers"]): string {
  if (!first) return "";
  const { node, opType, module } = first;
  const rest = others.length > 0 ? ` and ${others.length} more` : "";
  return `${opType} at ${module ?? node}${rest}`;
}

function describeObstacle({ reason, parameters }: Obstacle): string {
  if (parameters.length === 0) return `${reason}.\n  No parameters are found behind it.`;
  return `${reason}.\n  This keeps ${counted(parameters.length, "parameter")} from being trained: ${listed(parameters)}.`;
}

/** Why parameters cannot be trained that no obstacle keeps from it. */
function otherReasons({ parameters, obstacles }: TrainingCoverage): string[] {
  const blocked = new Set(obstacles.flatMap((each) => each.parameters));
  const others = parameters.filter(({ name, reason }) => reason !== undefined && !blocked.has(name));
  return [...new Set(others.map(({ reason }) => reason))].map((reason) => {
    const names = others.filter((each) => each.reason === reason).map(({ name }) => name);
    return `Not trainable, because ${reason}: ${listed(names)}.`;
  });
}
