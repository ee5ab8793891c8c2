import test from "ava";
import { Invalid } from "../../../src/domain/faults.ts";
import { type Filter, parseFilter } from "../../../src/domain/query/filter.ts";

/** The tree with every choice of the grammar in parentheses. */
function shown(filter: Filter | null): string {
  if (filter === null) return "everything";
  if (filter.op === "not") return `not ${shown(filter.of)}`;
  if (filter.op !== "compare") return `(${filter.of.map(shown).join(` ${filter.op} `)})`;
  const { path, comparator, argument } = filter;
  const value = argument === "*" ? "*" : argument.isQuoted ? JSON.stringify(argument.text) : argument.text;
  return `${path.map(({ text }) => text).join("/")}${comparator}${value}`;
}

const parsed: readonly [filter: string, tree: string][] = [
  ["", "everything"],
  [" \n\t", "everything"],
  ["a=1", "a=1"],
  ["  a  =  1  ", "a=1"],
  ["a = 1 AND b = 2 OR c = 3 AND d = 4", "(a=1 and (b=2 or c=3) and d=4)"],
  ["(a = 1 AND b = 2) OR c = 3", "((a=1 and b=2) or c=3)"],
  ["a=1 b=2 OR c=3", "(a=1 and (b=2 or c=3))"],
  ["(a=1)(b=2)", "(a=1 and b=2)"],
  ["NOT a=1", "not a=1"],
  ["NOT NOT a=1", "not not a=1"],
  ["-a=1 -(b=2)", "(not a=1 and not b=2)"],
  ["NOT(a=1 OR b=2)", "not (a=1 or b=2)"],
  ["a=1 OR NOT b=2", "(a=1 or not b=2)"],
  ["a!=1 a<1 a<=1 a>1 a>=1 a:1", "(a!=1 and a<1 and a<=1 and a>1 and a>=1 and a:1)"],
  ["a:*", "a:*"],
  ["(a:*)", "a:*"],
  ['a:"*"', 'a:"*"'],
  ["a=-1.5e3", "a=-1.5e3"],
  ["t>2026-11-24T10:00:00+01:00", "t>2026-11-24T10:00:00+01:00"],
  ["d>1.5s", "d>1.5s"],
  ["inputs.question.deep=x", "inputs/question/deep=x"],
  ['outputs."a b"."c.d"=x', "outputs/a b/c.d=x"],
  ["labels.my-team=x", "labels/my-team=x"],
  [`a="it's" b='say "hi"'`, `(a="it's" and b=${JSON.stringify('say "hi"')})`],
  [String.raw`a="\"\\\n\t\r\'"`, `a=${JSON.stringify("\"\\\n\t\r'")}`],
  ["a=''", 'a=""'],
  // Words that only begin like an operator.
  ["ORDER=1 ANDY=2 NOTE=3", "(ORDER=1 and ANDY=2 and NOTE=3)"],
  ["a=ORDER", "a=ORDER"],
  ["and=1", "and=1"],
  ["a='日本' b='😀'", '(a="日本" and b="😀")'],
];

for (const [filter, tree] of parsed)
  test(`${JSON.stringify(filter)} is ${tree}`, (t) => t.is(shown(parseFilter(filter)), tree));

const refused: readonly [filter: string, fault: string][] = [
  ["=", 'at position 1: expected a field, but found "="'],
  ["a", 'at position 2: expected =, !=, <, <=, >, >= or : after "a", but the filter ends'],
  ["a =", "at position 4: expected a value, but the filter ends"],
  ["a = AND b = 2", 'at position 5: expected a value, but found "AND"'],
  ["a = 1 AND", "at position 10: expected a field, NOT, - or (, but the filter ends"],
  ["a = 1 OR OR b = 1", 'at position 10: expected a field, NOT, - or (, but found "OR"'],
  ["(a = 1", 'at position 7: expected AND, OR or the ")" of the "(" at position 1, but the filter ends'],
  ["a = 1)", 'at position 6: expected AND, OR or the end, but found ")"'],
  ["()", 'at position 2: expected a field, NOT, - or (, but found ")"'],
  ['a = "x', 'at position 7: expected the closing ", but the filter ends'],
  [String.raw`a = "\x"`, String.raw`at position 7: expected one of \", \', \\, \n, \r, \t, but found "x\""`],
  ["a..b = 1", 'at position 3: expected a field, NOT, - or (, but found ".b"'],
  ["a = *", 'at position 5: expected a value ("*" stands alone, after ":"), but found "*"'],
  ["a <> 1", 'at position 4: expected a value, but found ">"'],
  ["a == 1", 'at position 4: expected a value, but found "="'],
  ["a = 1, b = 2", 'at position 6: expected a field, NOT, - or (, but found ","'],
  ["😀 = 1", 'at position 1: expected a field, but found "😀"'],
  ["a = '😀' )", 'at position 9: expected AND, OR or the end, but found ")"'],
  ["a = '\0'", "at position 6: the filter must not hold a NUL character"],
  ["a = '\ud800'", "at position 6: the filter must not hold a lone surrogate, which is not a character"],
  [`a = ${"x".repeat(16_384)}`, "at position 16385: expected at most 16384 characters"],
];

for (const [filter, fault] of refused)
  test(`${JSON.stringify(filter.slice(0, 40))} is refused ${fault.split(":")[0]}`, (t) => {
    const { reason, violations } = t.throws(() => parseFilter(filter), { instanceOf: Invalid }) as Invalid;
    t.is(reason, "FILTER_INVALID");
    t.deepEqual(violations, [{ field: "filter", description: fault, reason: "filter" }]);
  });

test("a filter is bounded in depth and in comparisons", (t) => {
  const deep = (levels: number) => `${"(".repeat(levels)}a=1${")".repeat(levels)}`;
  t.truthy(parseFilter(deep(32)));
  t.throws(() => parseFilter(deep(33)), { message: /at position 34: expected at most 32 levels/ });
  t.truthy(parseFilter(`${"NOT ".repeat(32)}a=1`));
  t.throws(() => parseFilter(`${"-".repeat(33)}a=1`), { message: /at most 32 levels/ });
  t.truthy(parseFilter("a=1 ".repeat(256)));
  t.throws(() => parseFilter(`${"a=1 OR ".repeat(256)}a=1`), { message: /at most 256 comparisons/ });
});
