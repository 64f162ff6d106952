import { describe, expect, test } from "vitest";
import { findingsOf } from "../../../cli/report/findings.ts";
import { html } from "../../../cli/report/html.ts";
import { reportPage } from "../../../cli/report/report-page.ts";
import { reportFacts } from "../../support/report-facts.ts";

const names = (count: number) => Array.from({ length: count }, (_, i) => `class${i}`);

test("a template escapes texts, shows control characters and keeps pieces of HTML", () => {
  const name = `<b onclick="x('&')">\u001b[31m\u202e`;
  const escaped = "&lt;b onclick=&quot;x(&#39;&amp;&#39;)&quot;&gt;\\u001b[31m\\u202e";
  expect(html`<p title="${name}">${html`<i>${[name, 3, undefined]}</i>`}</p>`.text).toBe(
    `<p title="${escaped}"><i>${escaped}3</i></p>`,
  );
});

describe("a report", () => {
  test("of the same facts has the same bytes, and no link, script or address of the network", () => {
    const page = reportPage(reportFacts(["cat", "dog", "cow"]));
    expect(page).toBe(reportPage(reportFacts(["cat", "dog", "cow"])));
    expect(page).not.toMatch(/<script|<a |<link(?! rel="icon" href="data:,")|https?:|url\(|@import/);
  });

  test("shows the matrix of few classes as numbers, of many as a picture, and of very many as pairs", () => {
    expect(reportPage(reportFacts(names(24)))).toContain('<table class="matrix">');
    const many = reportPage(reportFacts(names(100)));
    expect(many).not.toContain('<table class="matrix">');
    expect(many).toContain('class="heat" viewBox="0 0 100 100"');
    expect(many).toContain("70 more classes");
    const most = reportPage(reportFacts(names(1000)));
    expect(most).not.toContain('class="heat"');
    expect(most).toContain("Confused most");
  });

  test("of a run without an epoch and without pictures has what is known", () => {
    const { run, notes } = reportFacts(["cat", "dog"], { records: [], state: "diverged" });
    const page = reportPage({ run, notes: [...notes, "The pictures are gone."], measured: undefined });
    expect(page).toContain("The run diverged");
    expect(page).toContain("The pictures are gone.");
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
  });

  test("leaves a gap in its curves where a loss is no number", () => {
    const { run, ...rest } = reportFacts(["cat", "dog"]);
    const records = run.records.map((each) => (each.epoch === 2 ? { ...each, test_loss: Number.NaN } : each));
    const page = reportPage({ ...rest, run: { ...run, records } });
    expect(page).not.toMatch(/NaN|Infinity/);
    // three points with a hole are two lines of one point
    expect(page).toMatch(/d="M[\d.]+ [\d.]+M[\d.]+ [\d.]+"/);
  });
});

describe("what stands out", () => {
  const textsOf = (facts: Parameters<typeof findingsOf>[0]) =>
    findingsOf(facts)
      .map(({ text }) => text)
      .join("\n");

  test("names the pair that is confused most, the class that is rare and the overfitting", () => {
    const facts = reportFacts(["cat", "dog", "cow", "owl"]);
    const records = facts.run.records.map((each) => ({ ...each, train_accuracy: 99 }));
    const text = textsOf({ ...facts, run: { ...facts.run, records } });
    expect(text).toMatch(/Most often confused: \d of 10 images of \w+ were taken for \w+\./);
    expect(text).toMatch(/Rare in the training pictures, .*: cat \(2\)/);
    expect(text).toMatch(/36\.0 points above that of validation images/);
  });

  test("says first that a network is no better than a guess", () => {
    const { measured, ...rest } = reportFacts(["cat", "dog"]);
    if (!measured) throw new Error("nothing is measured");
    const evaluation = { ...measured.evaluation, accuracy: 50 };
    expect(findingsOf({ ...rest, measured: { ...measured, evaluation } })[0]).toMatchObject({
      level: "fault",
      text: expect.stringContaining("not surely better than a guess"),
    });
  });
});
