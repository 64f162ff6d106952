import { at } from "./at.ts";

/** A size that is known when a graph runs, such as `batch`. */
export class DimSymbol {
  readonly kind = "symbol";
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  toString(): string {
    return this.name;
  }
}

/** The quotient `dividend / divisor` rounded up; `ceilQuotientOf` makes it. */
export class CeilQuotient {
  readonly kind = "ceil";
  readonly dividend: DimExpression;
  readonly divisor: number;

  constructor(dividend: DimExpression, divisor: number) {
    this.dividend = dividend;
    this.divisor = divisor;
  }

  toString(): string {
    const { dividend, divisor } = this;
    const isLong = dividend.kind === "sum" && dividend.terms.length > 1;
    return `ceil(${isLong ? `(${dividend})` : dividend}/${divisor})`;
  }
}

/** A factor of a term: a symbol, or a ceiling division, which no other product can express. */
export type Factor = DimSymbol | CeilQuotient;

/** A whole number times a product of factors; the factors are in the order of `compareFactors`. */
export interface Term {
  readonly coefficient: number;
  readonly factors: readonly Factor[];
}

/**
 * A sum of products, such as `8*batch` or `16*ceil(batch/16)-batch`. The terms are in the order of
 * `compareTerms`, no two of them have the same factors, and no coefficient is 0. `sumOf` and `productOf` make
 * it.
 */
export class DimSum {
  readonly kind = "sum";
  readonly terms: readonly Term[];

  constructor(terms: readonly Term[]) {
    this.terms = terms;
  }

  toString(): string {
    const isPositive = ({ coefficient }: Term) => coefficient > 0;
    const negative = this.terms.filter((term) => !isPositive(term));
    const positive = this.terms.filter(isPositive).map(formatTerm).join("+");
    return `${positive}${negative.map((term) => `-${formatTerm(term)}`).join("")}`;
  }
}

/** A size that only a run tells. */
export type DimExpression = DimSymbol | CeilQuotient | DimSum;

/**
 * A dimension: a number, a symbol or an expression of them. All are immutable and in one normal form, so that
 * `sameDim` compares them part by part. Template literals and `String` give their text, which `parseDim`
 * reads.
 */
export type Dim = number | DimExpression;

function formatTerm({ coefficient, factors }: Term): string {
  const size = Math.abs(coefficient);
  return (size === 1 && factors.length > 0 ? factors : [size, ...factors]).join("*");
}

/** Whether two dimensions are the same number or the same expression. */
export function sameDim(a: Dim, b: Dim): boolean {
  if (a === b) return true;
  if (typeof a === "number" || typeof b === "number") return false;
  if (a.kind === "sum" || b.kind === "sum") {
    return a.kind === b.kind && sameList(termsOf(a), termsOf(b), sameTerm);
  }
  return compareFactors(a, b) === 0;
}

function sameList<T>(a: readonly T[], b: readonly T[], same: (a: T, b: T) => boolean): boolean {
  return a.length === b.length && a.every((each, i) => same(each, at(b, i)));
}

function sameTerm(a: Term, b: Term): boolean {
  return a.coefficient === b.coefficient && compareTerms(a, b) === 0;
}

/** The order of factors within a term: by their text, and symbols before quotients of the same text. */
function compareFactors(a: Factor, b: Factor): number {
  if (a === b) return 0;
  const [first, second] = [`${a} ${a.kind}`, `${b} ${b.kind}`];
  return first === second ? 0 : first < second ? -1 : 1;
}

/**
 * The graded lexicographic order of terms without their coefficients: more factors first, then by the first
 * factor that differs. Multiplying two terms by a third one keeps their order, which the long division in
 * `quotientOf` needs.
 */
function compareTerms(a: Term, b: Term): number {
  if (a.factors.length !== b.factors.length) return b.factors.length - a.factors.length;
  for (const [i, factor] of a.factors.entries()) {
    const order = compareFactors(factor, at(b.factors, i));
    if (order !== 0) return order;
  }
  return 0;
}

function termsOf(dim: Dim): readonly Term[] {
  if (typeof dim === "number") return dim === 0 ? [] : [{ coefficient: dim, factors: [] }];
  return dim.kind === "sum" ? dim.terms : [{ coefficient: 1, factors: [dim] }];
}

/** The normal form of a sum of terms. */
function fromTerms(terms: readonly Term[]): Dim {
  const merged: Term[] = [];
  for (const term of terms.toSorted(compareTerms)) {
    const last = merged.at(-1);
    if (last && compareTerms(last, term) === 0) {
      merged[merged.length - 1] = { ...last, coefficient: last.coefficient + term.coefficient };
    } else merged.push(term);
  }
  const kept = merged.filter(({ coefficient }) => coefficient !== 0);
  const [first, ...others] = kept;
  if (!first) return 0;
  if (others.length > 0) return new DimSum(kept);
  const [factor, ...rest] = first.factors;
  if (!factor) return first.coefficient;
  return first.coefficient === 1 && rest.length === 0 ? factor : new DimSum(kept);
}

/** The sum of two dimensions. */
export function sumOf(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return a + b;
  return fromTerms([...termsOf(a), ...termsOf(b)]);
}

/** `a - b`, which may be negative. */
export function differenceOf(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return sumOf(a, productOf([-1, b]));
}

/** The product of dimensions; 1 for none. */
export function productOf(dims: readonly Dim[]): Dim {
  return dims.reduce<Dim>((a, b) => {
    if (typeof a === "number" && typeof b === "number") return a * b;
    return fromTerms(termsOf(a).flatMap((term) => termsOf(b).map((other) => multiply(term, other))));
  }, 1);
}

function multiply(a: Term, b: Term): Term {
  const factors = [...a.factors, ...b.factors].sort(compareFactors);
  return { coefficient: a.coefficient * b.coefficient, factors };
}

/**
 * `a / b` where it is a sum of products with whole coefficients, else undefined. It is found by long
 * division.
 */
export function quotientOf(a: Dim, b: Dim): Dim | undefined {
  const [divisor] = termsOf(b);
  if (!divisor) return undefined;
  let [quotient, rest]: [Dim, Dim] = [0, a];
  for (let [leading] = termsOf(rest); leading; [leading] = termsOf(rest)) {
    const term = divide(leading, divisor);
    if (!term) return undefined;
    const part = fromTerms([term]);
    quotient = sumOf(quotient, part);
    rest = differenceOf(rest, productOf([part, b]));
  }
  return quotient;
}

function divide(a: Term, b: Term): Term | undefined {
  if (a.coefficient % b.coefficient !== 0) return undefined;
  const factors = [...a.factors];
  for (const factor of b.factors) {
    const i = factors.findIndex((each) => compareFactors(each, factor) === 0);
    if (i < 0) return undefined;
    factors.splice(i, 1);
  }
  return { coefficient: a.coefficient / b.coefficient, factors };
}

/**
 * `a / divisor` rounded up. Terms that the divisor divides stand outside of the rounding: `(32*a+b) / 16` is
 * `2*a+ceil(b/16)`. Throws RangeError where the divisor is not a whole number above 0.
 */
export function ceilQuotientOf(a: Dim, divisor: number): Dim {
  if (!Number.isInteger(divisor) || divisor < 1) throw new RangeError(`${divisor} is no divisor of a size`);
  if (typeof a === "number") return Math.ceil(a / divisor);
  const isWhole = ({ coefficient }: Term) => coefficient % divisor === 0;
  const outside = fromTerms(
    termsOf(a)
      .filter(isWhole)
      .map((term) => ({ ...term, coefficient: term.coefficient / divisor })),
  );
  const inside = termsOf(a).filter((term) => !isWhole(term));
  const common = inside.reduce((size, { coefficient }) => greatestDivisor(size, coefficient), divisor);
  const dividend = fromTerms(inside.map((term) => ({ ...term, coefficient: term.coefficient / common })));
  const reduced = divisor / common;
  return sumOf(
    outside,
    typeof dividend === "number" ? Math.ceil(dividend / reduced) : new CeilQuotient(dividend, reduced),
  );
}

/** The greatest common divisor, by Euclid's algorithm. */
function greatestDivisor(a: number, b: number): number {
  return b === 0 ? Math.abs(a) : greatestDivisor(b, a % b);
}

/**
 * Whether a dimension is 0 or more for all sizes that its symbols can stand for, as far as its signs tell.
 */
export function isNonNegative(dim: Dim): boolean {
  if (typeof dim === "number") return dim >= 0;
  if (dim.kind === "symbol") return true;
  if (dim.kind === "ceil") return isNonNegative(dim.dividend);
  return dim.terms.every(({ coefficient, factors }) => coefficient > 0 && factors.every(isNonNegative));
}

/** The number that a dimension is when `size` tells what a symbol stands for. */
export function sizeOf(dim: Dim, size: (name: string) => number): number {
  if (typeof dim === "number") return dim;
  if (dim.kind === "symbol") return size(dim.name);
  if (dim.kind === "ceil") return Math.ceil(sizeOf(dim.dividend, size) / dim.divisor);
  return dim.terms.reduce(
    (total, { coefficient, factors }) =>
      total + factors.reduce((product, factor) => product * sizeOf(factor, size), coefficient),
    0,
  );
}

/**
 * The dimension that a text such as `8*batch`, `batch+15` or `ceil(batch/16)` writes. A text that is not how
 * this project writes an expression is a symbol with that name: files have symbols such as `batch-size` and
 * `sequence length + 1`.
 */
export function parseDim(text: string): Dim {
  const tokens = text.match(/\d+|[A-Za-z_]\w*|[()*+/]/g) ?? [];
  if (tokens.join("") !== text) return new DimSymbol(text);
  const dim = new DimParser(tokens).dim();
  return dim !== undefined && String(dim) === text ? dim : new DimSymbol(text);
}

/**
 * Recursive descent over the tokens of a dimension; a method returns undefined where its rule does not fit.
 */
class DimParser {
  readonly #tokens: readonly string[];
  #position = 0;

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  dim(): Dim | undefined {
    const sum = this.#sum();
    return this.#position === this.#tokens.length ? sum : undefined;
  }

  #take(token: string): boolean {
    const isNext = this.#tokens[this.#position] === token;
    if (isNext) this.#position++;
    return isNext;
  }

  #sum(): Dim | undefined {
    let sum = this.#product();
    while (sum !== undefined && this.#take("+")) {
      const next = this.#product();
      sum = next && sumOf(sum, next);
    }
    return sum;
  }

  #product(): Dim | undefined {
    let product = this.#factor();
    while (product !== undefined && this.#take("*")) {
      const next = this.#factor();
      product = next && productOf([product, next]);
    }
    return product;
  }

  #factor(): Dim | undefined {
    if (this.#take("(")) {
      const inner = this.#sum();
      return this.#take(")") ? inner : undefined;
    }
    const token = this.#tokens[this.#position++];
    if (token === "ceil" && this.#take("(")) return this.#ceilQuotient();
    if (token === undefined || !/^\w+$/.test(token)) return undefined;
    return /^\d/.test(token) ? Number(token) : new DimSymbol(token);
  }

  #ceilQuotient(): Dim | undefined {
    const dividend = this.#product();
    const divisor = this.#take("/") ? Number(this.#tokens[this.#position++]) : 0;
    if (dividend === undefined || !(divisor > 0) || !this.#take(")")) return undefined;
    return ceilQuotientOf(dividend, divisor);
  }
}
