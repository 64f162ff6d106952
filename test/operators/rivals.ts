import { type Row, table } from "./page.ts";

/** What is known of another program. */
interface Rival {
  readonly version: string;
  readonly published: string;
  readonly source: string;
  readonly how: string;
  /** The operators for which it has a rule; for jax-js, those that it reads. */
  readonly rules: readonly string[];
  readonly zero?: readonly string[];
  /** For how many of an operator's models its gradient is right, or built, and how many there are. */
  readonly tried?: Readonly<Record<string, readonly [number, number]>>;
  readonly notes: Readonly<Record<string, string>>;
}

/** The file rivals.json, which test/interop/oracle/rivals.py writes. */
export interface Rivals {
  readonly measured: string;
  readonly oracle: { readonly models: number; readonly agree: number; readonly differ: number };
  readonly rivals: Readonly<Record<string, Rival>>;
}

/** The sections that compare our operators with those of other programs. */
export function rivalSections(data: Rivals, rows: readonly Row[]): string[] {
  const { measured, oracle, rivals } = data;
  const names = Object.keys(rivals);
  const isDouble = ({ name, domain }: Row) =>
    domain !== "" && rows.some((each) => each.name === name && each.domain === "");
  const shown = rows.filter((row) => row.domain !== "ai.onnx.ml" && row.inputs.length > 0 && !isDouble(row));
  return [
    "## Beside other programs",
    "",
    `The same operators in four other programs, on ${measured}. \`test/interop/oracle/rivals.py\` measures and writes \`test/operators/rivals.json\`, from which these tables are made.`,
    "",
    ...table(
      ["program", "published", "read from", "tried"],
      Object.values(rivals).map(({ version, published, source, how }) => [version, published, source, how]),
    ),
    "",
    `Each of the ${oracle.models} models is one operator in one form (three are small networks). Our gradients of the operators agree with central differences (\`test/graph-builder\`). A cell \`k of n\` says for how many of the operator's models the other program's gradient agrees with ours to 1e-4, and for ONNX Runtime how many it builds; \`rule\` means a rule in its table that was not tried; \`taken for 0\`, that it takes the derivative for 0; an empty cell, no rule. Forms that other programs refuse by design, such as training mode or a size that is not known before a run, count as not right. Which of [our families of networks](training-any-model.md#compared-with-pytorch) the other programs train was not tried, and neither were operators of ai.onnx.ml, for which none of the four has a rule.`,
    "",
    ...table(
      ["operator", "here", ...names],
      shown.map((row) => [row.name, row.gradient, ...names.map((name) => cell(rivals[name], row.name))]),
    ),
    "",
    ...whatTheyHave(rivals, rows),
    "",
    "### What the comparison found",
    "",
    `With onnx-ad ${oracle.agree} models agree and ${oracle.differ} differ; the others it refuses, or they need an opset that ONNX Runtime 1.19.2 has not. In all that differ, central differences agree with ours: pads that differ at the two ends of an axis, factors and bases that are 0, an empty list of axes, a Clip whose ends are exchanged, and the derivatives of Det, OneHot's values and the statistics of BatchNormalization for inference, which it takes for 0. \`test/interop/oracle/test_onnx_ad.py\` names each.`,
    "",
  ];
}

function cell(rival: Rival | undefined, name: string): string {
  if (!rival) return "";
  const { tried = {}, rules, zero = [], notes } = rival;
  const isKnown = rules.includes(name);
  const counts = tried[name];
  const right = counts?.[0] ?? 0;
  const known = [...(isKnown ? ["rule"] : []), ...(zero.includes(name) ? ["taken for 0"] : [])].join();
  const found = counts && (isKnown || right > 0) ? `${right} of ${counts[1]}` : known;
  return [found, ...(notes[name] === undefined ? [] : [`(${notes[name]})`])].filter(Boolean).join(" ");
}

/** The operators that the others differentiate, and that have no gradient here. */
function whatTheyHave(rivals: Rivals["rivals"], rows: readonly Row[]): string[] {
  const ours = new Set(
    rows
      .filter(({ inputs, gradient }) => inputs.length > 0 || gradient === "by decomposition")
      .map(({ name }) => name),
  );
  const constant = new Set(rows.filter(({ gradient }) => gradient === "0").map(({ name }) => name));
  const lines = Object.entries(rivals)
    .filter(([name]) => name !== "jax-js")
    .map(([name, { rules }]) => {
      const more = rules.filter((rule) => !ours.has(rule) && !constant.has(rule));
      return `- ${name}: ${more.map((rule) => `\`${rule}\``).join(", ")}`;
    });
  return [
    "### What they have, and we have not",
    "",
    "Rules for operators that have no gradient here (operators of ONNX Runtime's own training graphs among them):",
    "",
    ...lines,
    "",
    "onnx-ad differentiates `If`, `Loop` and `Scan` whose conditions and lengths only a run tells (here `Scan` alone, and `If` where its condition is known), has forward mode and derivatives of any order, and expands the function bodies of `LinearAttention` and `CausalConvWithState`. onnxsim trains through quantisation (straight-through `QuantizeLinear` and `DequantizeLinear`). jax-js differentiates whatever a program of its own computes, on WebGPU too; it writes no ONNX.",
  ];
}
