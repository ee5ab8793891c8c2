import test from "ava";
import { createProgramCache, type ProgramRevision } from "../../../src/actions/executions/program-cache.ts";

const revision = (id: string, compiledState = "") =>
  ({ program: { id }, revision: { definition: { compiledState } } }) as unknown as ProgramRevision;

test("an entry is found only by its project, key and number", (t) => {
  const cache = createProgramCache(10_000);
  const a = revision("a");
  cache.set("p", "handle", 0, a);
  t.is(cache.get("p", "handle", 0), a);
  t.is(cache.get("p", "handle", 1), undefined);
  t.is(cache.get("q", "handle", 0), undefined);
});

test("deleting a program deletes its entries under every key and number, and no others", (t) => {
  const cache = createProgramCache(10_000);
  cache.set("p", "handle", 0, revision("a"));
  cache.set("p", "a", 3, revision("a"));
  cache.set("p", "b", 0, revision("b"));
  cache.set("q", "a", 0, revision("a"));
  cache.delete("p", "a");
  t.deepEqual([cache.get("p", "handle", 0), cache.get("p", "a", 3)], [undefined, undefined]);
  t.truthy(cache.get("p", "b", 0));
  t.truthy(cache.get("q", "a", 0));
});

test("a full cache drops the least recently used entries", (t) => {
  const cache = createProgramCache(3_500);
  for (const id of ["a", "b", "c"]) cache.set("p", id, 0, revision(id, "x".repeat(1_000)));
  cache.get("p", "a", 0);
  cache.set("p", "d", 0, revision("d", "x".repeat(1_000)));
  t.deepEqual(
    ["a", "b", "c", "d"].map((id) => cache.get("p", id, 0) !== undefined),
    [true, false, true, true],
  );
});

test("an entry larger than the whole cache is not kept, and drops no other", (t) => {
  const cache = createProgramCache(3_500);
  cache.set("p", "a", 0, revision("a"));
  cache.set("p", "huge", 0, revision("huge", "x".repeat(5_000)));
  t.is(cache.get("p", "huge", 0), undefined);
  t.truthy(cache.get("p", "a", 0));
});

test("an entry that is set again counts once", (t) => {
  const cache = createProgramCache(3_500);
  for (let n = 0; n < 10; n++) cache.set("p", "a", 0, revision("a", "x".repeat(1_000)));
  cache.set("p", "b", 0, revision("b", "x".repeat(1_000)));
  t.truthy(cache.get("p", "a", 0));
});
