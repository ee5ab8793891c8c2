import test from "ava";
import { defineSignature } from "../../../src/domain/signature/define.ts";
import { createSchemaCache } from "../../../src/domain/signature/schema.ts";

const signature = (text: string) =>
  defineSignature({ name: "", instructions: "", text, inputs: [], outputs: [] }, "signature");

test("compiles a schema once per signature content and evicts the least recently used", (t) => {
  const cache = createSchemaCache(2);
  const [a, b, c] = ["a -> x", "b -> x", "c -> x"].map(signature) as [never, never, never];
  const first = cache.of(a);
  cache.of(b);
  t.is(cache.of(signature("a -> x")), first);
  t.deepEqual(cache.stats(), { entries: 2, hits: 1, misses: 2 });
  cache.of(c);
  t.is(cache.of(a), first);
  t.deepEqual(cache.stats(), { entries: 2, hits: 2, misses: 3 });
  cache.of(b);
  t.is(cache.stats().misses, 4);
  t.is(cache.clear(), 2);
  t.is(cache.stats().entries, 0);
});
