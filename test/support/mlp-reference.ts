import { at, type Model } from "../../graph-builder/index.ts";
import { muonStep } from "./muon-reference.ts";

/** The rows of the matrices. */
const rows: Readonly<Record<string, number>> = { "hidden.weight": 4, "out.weight": 2 };

/** What a reference step may be. */
export type ReferenceOptimizer = "sgd" | "sgd-momentum" | "sgd-nesterov" | "adamw" | "muon";

/** The network of `mlp()` with a mean squared error in double precision, without ONNX. */
export class MlpReference {
  readonly parameters: ReadonlyMap<string, number[]>;
  readonly #moments = new Map<string, { m: number; v: number }[]>();
  #steps = 0;

  constructor({ graph }: Model) {
    this.parameters = new Map(
      graph.initializers.map(({ name = "", constant }) => [name, constant?.numbers() ?? []]),
    );
    for (const [name, values] of this.parameters) {
      this.#moments.set(
        name,
        values.map(() => ({ m: 0, v: 0 })),
      );
    }
  }

  /** The loss of a batch, and the gradient of every parameter. */
  gradients(x: readonly number[], target: readonly number[]) {
    const [w1, b1, w2, b2] = ["hidden.weight", "hidden.bias", "out.weight", "out.bias"].map((name) =>
      this.#values(name),
    );
    if (!w1 || !b1 || !w2 || !b2) throw new Error("the reference has four parameters");
    const [d1, c1, d2, c2] = [w1, b1, w2, b2].map((values) => values.map(() => 0));
    if (!d1 || !c1 || !d2 || !c2) throw new Error("the reference has four gradients");
    let loss = 0;
    for (let row = 0; row < x.length / 3; row++) {
      const input = x.slice(3 * row, 3 * row + 3);
      const hidden = b1.map((b, k) =>
        Math.tanh(b + input.reduce((sum, value, j) => sum + value * at(w1, 3 * k + j), 0)),
      );
      const dHidden = hidden.map(() => 0);
      for (const [k, b] of b2.entries()) {
        const y = b + hidden.reduce((sum, value, j) => sum + value * at(w2, 4 * k + j), 0);
        const error = y - at(target, 2 * row + k);
        loss += error ** 2 / target.length;
        const dY = (2 * error) / target.length;
        c2[k] = at(c2, k) + dY;
        for (const [j, value] of hidden.entries()) {
          d2[4 * k + j] = at(d2, 4 * k + j) + dY * value;
          dHidden[j] = at(dHidden, j) + dY * at(w2, 4 * k + j);
        }
      }
      for (const [k, value] of hidden.entries()) {
        const dSum = at(dHidden, k) * (1 - value ** 2);
        c1[k] = at(c1, k) + dSum;
        for (const [j, each] of input.entries()) d1[3 * k + j] = at(d1, 3 * k + j) + dSum * each;
      }
    }
    const gradients = new Map([
      ["hidden.weight", d1],
      ["hidden.bias", c1],
      ["out.weight", d2],
      ["out.bias", c2],
    ]);
    return { loss, gradients };
  }

  /**
   * One step on a batch by PyTorch's formulas, with the defaults of `generateArtifacts`. Returns the loss.
   */
  step(x: readonly number[], target: readonly number[], optimizer: ReferenceOptimizer, rate: number): number {
    const { loss, gradients } = this.gradients(x, target);
    this.#steps += 1;
    for (const [name, values] of this.parameters) {
      const [gradient, moments] = [gradients.get(name) ?? [], this.#moments.get(name) ?? []];
      const height = rows[name];
      const next =
        optimizer === "muon" && height !== undefined
          ? muonStep(values, gradient, moments, height, rate)
          : values.map((value, i) => this.#updated(value, at(gradient, i), at(moments, i), optimizer, rate));
      values.splice(0, values.length, ...next);
    }
    return loss;
  }

  #updated(
    value: number,
    gradient: number,
    moment: { m: number; v: number },
    optimizer: ReferenceOptimizer,
    rate: number,
  ): number {
    if (optimizer === "sgd") return value - rate * gradient;
    if (optimizer === "muon") {
      const decayed = gradient + 0.1 * value;
      moment.m = 0.95 * moment.m + decayed;
      return value - rate * (decayed + 0.95 * moment.m);
    }
    if (optimizer !== "adamw") {
      moment.m = 0.9 * moment.m + gradient;
      return value - rate * (optimizer === "sgd-momentum" ? moment.m : gradient + 0.9 * moment.m);
    }
    moment.m = 0.9 * moment.m + 0.1 * gradient;
    moment.v = 0.999 * moment.v + 0.001 * gradient ** 2;
    const m = moment.m / (1 - 0.9 ** this.#steps);
    const v = moment.v / (1 - 0.999 ** this.#steps);
    return value * (1 - rate * 0.01) - (rate * m) / (Math.sqrt(v) + 1e-8);
  }

  #values(name: string): number[] {
    const values = this.parameters.get(name);
    if (!values) throw new Error(`the reference has no ${name}`);
    return values;
  }
}
