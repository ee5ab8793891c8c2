import test from "ava";
import { requestKey } from "../../src/domain/request.ts";

const id = "3f0f6b60-0f5e-4a35-8d07-9d5f3a1c2b4d";
const request = { programId: "moods", revision: 0, inputs: { text: "a" }, labels: {}, lm: {}, requestId: id };
const hashOf = (asked: object) => requestKey("execute", id, asked)?.hash;

test("a request without a request_id has no key", (t) => {
  t.is(requestKey("execute", "", request), null);
});

test("a request_id counts in any case of its letters", (t) => {
  t.is(requestKey("execute", id.toUpperCase(), request)?.id, id);
});

test("the order of fields does not change a request's hash, and each of their values does", (t) => {
  t.is(hashOf(Object.fromEntries(Object.entries(request).reverse())), hashOf(request));
  const others = { programId: "others", revision: 1, inputs: {}, labels: { a: "b" }, lm: { model: "m" } };
  for (const [name, value] of Object.entries(others))
    t.not(hashOf({ ...request, [name]: value }), hashOf(request), name);
});

test("a field that requests did not have at first changes the hash only if it is set", (t) => {
  for (const unset of [undefined, null, "", 0, 0n, false, [], {}])
    t.is(hashOf({ ...request, note: unset }), hashOf(request));
  for (const set of ["urgent", 1, true, ["urgent"], { a: "b" }])
    t.not(hashOf({ ...request, note: set }), hashOf(request));
});
