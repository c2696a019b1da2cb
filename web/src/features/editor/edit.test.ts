import { describe, expect, it } from "vitest";
import { smallestEdit } from "./edit";

const apply = (text: string, edit: ReturnType<typeof smallestEdit>): string =>
  edit ? text.slice(0, edit.from) + edit.text + text.slice(edit.to) : text;

describe("smallestEdit", () => {
  it("leaves the same text alone", () => {
    expect(smallestEdit("abc", "abc")).toBeUndefined();
  });

  it.each([
    ["abc", "abXc", { from: 2, to: 2, text: "X" }],
    ["abXc", "abc", { from: 2, to: 3, text: "" }],
    ["aaa", "aa", { from: 2, to: 3, text: "" }],
    ["", "x", { from: 0, to: 0, text: "x" }],
    ["one\ntwo\nthree", "one\n2\nthree", { from: 4, to: 7, text: "2" }],
  ])("of %j to %j touches only what differs", (before, after, want) => {
    expect(smallestEdit(before, after)).toEqual(want);
  });

  it.each([
    ["a😀b", "a😃b"],
    ["x\r\ny", "x\r\n\r\ny"],
    ["x\r\ny", "xz\r\ny"],
    ["", ""],
    ["😀", ""],
  ])("of %j to %j gives exactly the other text and cuts nothing in half", (before, after) => {
    const edit = smallestEdit(before, after);
    expect(apply(before, edit)).toBe(after);
    expect(edit?.text ?? "").not.toMatch(/^[\udc00-\udfff]/);
  });
});
