import { expect, test } from "vitest";
import { withoutComments } from "../../cli/json-comments.ts";

test("comments and last commas become spaces, so that every other character keeps its place", () => {
  const text = `{ // the network
  "depth": 14, /* layers,
  with the stem */ "width": 32,
  "freeze": ["a", "b",],
}`;
  const plain = withoutComments(text);
  expect(JSON.parse(plain)).toEqual({ depth: 14, width: 32, freeze: ["a", "b"] });
  expect(plain.length).toBe(text.length);
  expect(plain.split("\n").map((line) => line.length)).toEqual(text.split("\n").map((line) => line.length));
  expect(plain.indexOf('"width"')).toBe(text.indexOf('"width"'));
});

test.each([
  ['{"data": "http://a/b", "x": "/* no */", "y": "a,]", "z": "\\"// no"}'],
  ['{"a": [1, 2], "b": {}}'],
  ['{"path": "C:\\\\", "next": "// no"}'],
])("%s is left as it is", (text) => {
  expect(withoutComments(text)).toBe(text);
});

test.each(['{"a": 1, // no end', '{"a": 1 /* no end }', '{"a": "no end // }'])(
  "%s is still no JSON",
  (text) => {
    expect(() => JSON.parse(withoutComments(text))).toThrow(SyntaxError);
  },
);
