import { type Graph, globExpression, nearestName, UserError, type Value } from "../graph-builder/index.ts";
import { listed } from "./listed.ts";
import {
  floatConstants,
  headOf,
  isStatistic,
  type ModelParameter,
  parametersOf,
} from "./model-parameters.ts";

/**
 * Which parameters are trained:
 * - `all`, which is the default, or `head`: the last layer with a weight, and what follows it;
 * - a name, or a glob in which `*` stands for any text and `?` for one character. It is compared with the
 *   parameter's name, with the names of the nodes that read it, and with the module's path that PyTorch's
 *   exporter notes at these nodes. A pattern behind `!` takes parameters out again;
 * - several of these, of which the later ones win;
 * - a function of a parameter.
 */
export type Trainable = string | readonly string[] | ((parameter: ModelParameter) => boolean);

/** The parameters of a graph, apart. */
export interface ChosenParameters {
  readonly trained: readonly ModelParameter[];
  readonly frozen: readonly ModelParameter[];
}

/**
 * Divides the parameters of a graph, of which `part` computes what the loss reads. Throws UserError for a
 * pattern that matches nothing, with the nearest names, for the name of a tensor that cannot be trained, and
 * where nothing is left to train.
 */
export function chooseTrainable(graph: Graph, part: Graph, trainable: Trainable = "all"): ChosenParameters {
  const parameters = parametersOf(part);
  const chosen =
    typeof trainable === "function"
      ? new Set(parameters.filter(trainable).map(({ name }) => name))
      : matched({ graph, part, parameters }, typeof trainable === "string" ? [trainable] : trainable);
  const known = new Set(parameters.map(({ name }) => name));
  const named = [...floatConstants(part).values()]
    .filter(({ name }) => chosen.has(name) && !known.has(name))
    .map((constant): ModelParameter => ({ ...constant, layers: [] }));
  const all = [...parameters, ...named];
  const trained = all.filter(({ name }) => chosen.has(name));
  if (trained.length === 0) {
    throw new UserError(
      parameters.length === 0
        ? noParameter(part)
        : `Nothing is left to train of the parameters ${listed(known)}.`,
      { code: "parameter-unknown", details: { parameters: [...known] } },
    );
  }
  return { trained, frozen: all.filter(({ name }) => !chosen.has(name)) };
}

/** Why a graph has no parameter, for a person who sees weights in it. */
function noParameter({ initializers, nodes }: Graph): string {
  const none = "The model has no parameter: no layer that the loss needs reads a float constant";
  const unread = nodes.find(({ operator }) => operator.kept);
  if (unread) return `${none}, and ${unread.operator.kept?.reason}.`;
  const isDouble = initializers.some(({ constant }) => constant?.elemType === "double");
  return isDouble ? `${none}, and its double weights are not trained: convert it to float.` : `${none}.`;
}

interface Candidates {
  readonly graph: Graph;
  readonly part: Graph;
  readonly parameters: readonly ModelParameter[];
}

function matched(candidates: Candidates, patterns: readonly string[]): Set<string> {
  const chosen = new Set<string>();
  for (const pattern of patterns) {
    const isExclusion = pattern.startsWith("!");
    for (const name of namesFor(candidates, isExclusion ? pattern.slice(1) : pattern)) {
      if (isExclusion) chosen.delete(name);
      else chosen.add(name);
    }
  }
  return chosen;
}

function namesFor(candidates: Candidates, pattern: string): Iterable<string> {
  const { part, parameters } = candidates;
  if (pattern === "all") return parameters.map(({ name }) => name);
  if (pattern === "head") return headOf(part, parameters);
  const found = matching(parameters, pattern);
  if (found.length > 0) return found;
  if (floatConstants(part).has(pattern)) return [pattern];
  throw noMatch(candidates, pattern);
}

function matching(parameters: readonly ModelParameter[], pattern: string): string[] {
  const glob = globExpression(pattern);
  const isMatch = ({ name, layers }: ModelParameter) =>
    glob.test(name) ||
    layers.some(({ node, module }) => glob.test(node) || (module !== undefined && glob.test(module)));
  return parameters.filter(isMatch).map(({ name }) => name);
}

function noMatch({ graph, part, parameters }: Candidates, pattern: string): UserError {
  const names = parameters.map(({ name }) => name);
  const refuse = (message: string) =>
    new UserError(message, { code: "parameter-unknown", details: { pattern, parameters: names } });
  const [unread] = matching(parametersOf(graph), pattern);
  if (unread !== undefined) return refuse(`${unread} cannot be trained: the loss does not depend on it.`);
  const other = [...part.initializers, ...graph.inputs].find(({ name }) => name === pattern);
  if (other) return refuse(`${pattern} cannot be trained: ${reasonFor(other)}.`);
  const nearest = nearestName(pattern, names);
  const hint = nearest === undefined ? ` It has ${listed(names)}.` : ` Did you mean ${nearest}?`;
  return refuse(`No parameter of the model matches ${pattern}.${hint}`);
}

function reasonFor(value: Value): string {
  if (!value.constant) return "it is an input of the model, and no constant";
  if (isStatistic(value)) return "it is a running statistic of batch normalisation";
  return `it is ${value.elemType}, and only float tensors are trained`;
}
