import { readFile } from "node:fs/promises";
import { gradients } from "../../graph-builder/autodiff/gradients/index.ts";
import { expansions } from "../../graph-builder/expansions/index.ts";
import { linearOperators } from "../../graph-builder/onnx/attribute-weights.ts";
import { importForms } from "../../graph-builder/onnx/import-forms/index.ts";
import { sequenceOperators } from "../../graph-builder/onnx/sequences.ts";
import { isOpType, operatorOf, operators } from "../../graph-builder/operators/index.ts";
import { differentiableInputs, readAs } from "./probes.ts";
import { type Rivals, rivalSections } from "./rivals.ts";

/** An operator of ONNX's own: the opsets that changed it, and its inputs. */
interface OnnxOperator {
  readonly domain: string;
  readonly name: string;
  readonly versions: readonly number[];
  readonly inputs: readonly string[];
  readonly deprecated?: boolean;
}

/** A line of the table of operators. */
export interface Row {
  readonly name: string;
  readonly domain: string;
  readonly since: number;
  readonly gradient: string;
  readonly inputs: readonly string[];
  readonly notes: readonly string[];
}

async function json(name: string): Promise<string> {
  return await readFile(new URL(name, import.meta.url), "utf8");
}

/** The page docs/operators.md, from the tables of the code and from what is known of other programs. */
export async function operatorsPage(): Promise<string> {
  const known: { readonly operators: readonly OnnxOperator[] } = JSON.parse(await json("onnx.json"));
  const rivals: Rivals = JSON.parse(await json("rivals.json"));
  const rows = [...ownRows(known.operators), ...formRows(known.operators), ...specialRows(known.operators)];
  const sorted = rows.sort((a, b) => (a.name + a.domain < b.name + b.domain ? -1 : 1));
  return [
    ...introduction,
    ...table(
      ["operator", "domain", "from opset", "gradient", "with respect to", "notes"],
      sorted.map((row) => [
        row.name,
        row.domain || "ai.onnx",
        row.since,
        row.gradient,
        row.inputs.join(", "),
        row.notes.join("; "),
      ]),
    ),
    "",
    ...unread(known.operators, sorted),
    ...rivalSections(rivals, sorted),
  ].join("\n");
}

const introduction = [
  "# Operators",
  "",
  "Which operators of an .onnx file are read, and which of their inputs have a gradient. This page is made from the tables of the code: `UPDATE_DOCS=1 npx vitest run test/operators` writes it, and the test fails where it is stale.",
  "",
  "- **from opset**: the first opset of its domain that has the operator, and no earlier than 9 for ai.onnx. [ONNX's node tests](node-tests.md) say which forms and types of an operator are not covered.",
  "- **gradient**: `yes`, by a rule of its own; `by decomposition`, through the simpler operators that compute the same; `0`, because the output does not vary with the input; or `none`.",
  "- **with respect to**: the floating-point inputs that have a gradient, found by asking for it.",
  "",
];

/** A Markdown table. */
export function table(heads: readonly string[], rows: readonly (readonly (string | number)[])[]): string[] {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
  return [line(heads), line(heads.map(() => "---")), ...rows.map(line)];
}

const backward = "it is itself part of a backward pass";
const lowered = "only lowerings emit it";

/** The operators of our table, but for those that only our own graphs have. */
function ownRows(known: readonly OnnxOperator[]): Row[] {
  return Object.keys(operators)
    .filter(isOpType)
    .filter((opType) => !isInner(opType))
    .map((opType) => {
      const { domain } = operatorOf(opType);
      const rule = gradients[opType];
      const isRule = typeof rule === "function";
      const notes = [
        ...(typeof rule === "object" ? [rule.none] : []),
        ...importForms
          .filter((form) => form.domain === domain && form.opType === opType)
          .flatMap(({ until }) => (until === undefined ? [] : [`another form before opset ${until}`])),
      ];
      const kind = Object.hasOwn(expansions, opType) ? "by decomposition" : "yes";
      return {
        name: opType,
        domain,
        since: sinceOf(known, domain, opType),
        gradient: isRule ? kind : rule === "zero" ? "0" : "none",
        inputs: isRule ? differentiableInputs(opType) : [],
        notes,
      };
    });
}

function isInner(opType: keyof typeof gradients): boolean {
  const rule = gradients[opType];
  const isGradient = operatorOf(opType).domain === "com.microsoft" && rule === "zero";
  return isGradient || (typeof rule === "object" && [backward, lowered].includes(rule.none));
}

/** The first opset that has an operator; 1 for domains that are not ONNX's. */
function sinceOf(known: readonly OnnxOperator[], domain: string, name: string): number {
  const first = known.find((each) => each.domain === domain && each.name === name)?.versions[0] ?? 1;
  return domain === "" ? Math.max(9, first) : first;
}

/** The operators that are read as others. */
function formRows(known: readonly OnnxOperator[]): Row[] {
  const forms = importForms.filter(
    ({ domain, opType }) => !isOpType(opType) || operatorOf(opType).domain !== domain,
  );
  const names = new Map(forms.map(({ domain, opType }) => [`${domain}.${opType}`, { domain, opType }]));
  return [...names.values()]
    .filter(({ opType }) => !["Constant", "AveragePoolGrad"].includes(opType))
    .map(({ domain, opType }) => {
      const read = readAs(domain, opType);
      if (!read) throw new Error(`no test has a node of ${domain}.${opType}`);
      const { inputs = read.names } =
        known.find((each) => each.domain === domain && each.name === opType) ?? {};
      const at = (index: number) => inputs[Math.min(index, inputs.length - 1)] ?? "";
      return {
        name: opType,
        domain,
        since: sinceOf(known, domain, opType),
        gradient: "by decomposition",
        inputs: read.differentiable.map(at),
        notes: [
          `read as ${read.operators.join(", ")}`,
          ...(linearOperators.includes(opType) ? ["its weights, which are attributes, are parameters"] : []),
        ],
      };
    });
}

/** What is read before any node is made: constants, branches that are known, sequences of a known length. */
function specialRows(known: readonly OnnxOperator[]): Row[] {
  const row = (name: string, gradient: string, note: string): Row => ({
    ...{ name, domain: "", since: sinceOf(known, "", name), gradient, inputs: [] },
    notes: [note],
  });
  return [
    row("Constant", "", "a constant of the graph, which may be a parameter"),
    row("If", "by decomposition", "where its condition is known before a run: the branch that it takes"),
    ...sequenceOperators.map((name) =>
      row(name, "by decomposition", "where the length of the sequence is known: its tensors"),
    ),
  ];
}

/** The operators of ONNX that are not read. */
function unread(known: readonly OnnxOperator[], rows: readonly Row[]): string[] {
  const read = new Set(rows.map(({ domain, name }) => `${domain}.${name}`));
  const missing = known.filter(
    ({ domain, name, deprecated }) => !deprecated && !read.has(`${domain}.${name}`),
  );
  const listed = (domain: string) =>
    missing
      .filter((each) => each.domain === domain)
      .map(({ name }) => `\`${name}\``)
      .join(", ");
  return [
    "## What is not read",
    "",
    "These operators of onnx 1.23.2 are kept as the file has them, and run by ONNX Runtime, where no gradient has to pass them. Between the loss and a trained parameter they are refused.",
    "",
    `- ai.onnx: ${listed("")}`,
    `- ai.onnx.ml: ${listed("ai.onnx.ml")}`,
    "",
    "Beside these, the operators of com.microsoft that ONNX Runtime's training files have (`ConvGrad`, `AdamWOptimizer` and their kin) are read in such files; no gradient goes through them.",
    "",
  ];
}
