import test from "ava";
import { createRecentPrograms, type ProgramRevision } from "../../../src/actions/executions/program-cache.ts";

const read = (id: string, compiledState = "") =>
  ({ program: { id }, revision: { definition: { compiledState } } }) as unknown as ProgramRevision;

test("a program is recalled by what it was asked by, in its project alone", (t) => {
  const recent = createRecentPrograms(10_000);
  const a = read("a");
  recent.remember("p", "handle", 0, a);
  t.is(recent.recall("p", "handle", 0), a);
  t.is(recent.recall("p", "handle", 1), undefined);
  t.is(recent.recall("q", "handle", 0), undefined);
});

test("a program is forgotten whatever it was asked by, and no other is", (t) => {
  const recent = createRecentPrograms(10_000);
  recent.remember("p", "handle", 0, read("a"));
  recent.remember("p", "a", 3, read("a"));
  recent.remember("p", "b", 0, read("b"));
  recent.remember("q", "a", 0, read("a"));
  recent.forget("p", "a");
  t.deepEqual([recent.recall("p", "handle", 0), recent.recall("p", "a", 3)], [undefined, undefined]);
  t.truthy(recent.recall("p", "b", 0));
  t.truthy(recent.recall("q", "a", 0));
});

test("so many bytes are kept, of those that were used last", (t) => {
  const recent = createRecentPrograms(3_500);
  for (const id of ["a", "b", "c"]) recent.remember("p", id, 0, read(id, "x".repeat(1_000)));
  recent.recall("p", "a", 0);
  recent.remember("p", "d", 0, read("d", "x".repeat(1_000)));
  t.deepEqual(
    ["a", "b", "c", "d"].map((id) => recent.recall("p", id, 0) !== undefined),
    [true, false, true, true],
  );
  // What is too large by itself takes nobody's place, and what is remembered again counts once.
  recent.remember("p", "huge", 0, read("huge", "x".repeat(5_000)));
  t.is(recent.recall("p", "huge", 0), undefined);
  t.truthy(recent.recall("p", "a", 0));
  for (let n = 0; n < 10; n++) recent.remember("p", "e", 0, read("e", "x".repeat(1_000)));
  recent.remember("p", "f", 0, read("f", "x".repeat(1_000)));
  t.truthy(recent.recall("p", "e", 0));
});
