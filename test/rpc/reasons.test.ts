import { readFileSync } from "node:fs";
import { Code } from "@connectrpc/connect";
import test from "ava";
import { codes } from "../../src/rpc/faults.ts";

/** The reasons in error_reason.proto, each with the codes in the comment above its group. */
function contract(): Map<string, string[]> {
  const proto = readFileSync(new URL("../../proto/sigrun/v1/error_reason.proto", import.meta.url), "utf8");
  const reasons = new Map<string, string[]>();
  let group: string[] = [];
  for (const line of proto.slice(proto.indexOf("enum ErrorReason")).split("\n")) {
    const named = line.includes("//") ? (line.match(/\b[A-Z]+(_[A-Z]+)*\b(?=,|:|$)/g) ?? []) : [];
    if (named.length > 0) group = named;
    const reason = /ERROR_REASON_([A-Z_]+) = [1-9]/.exec(line)?.[1];
    if (reason) reasons.set(reason, group);
  }
  return reasons;
}

/** The name of a code in google.rpc, which writes CANCELLED with two l. */
const nameOf = (code: Code) =>
  code === Code.Canceled
    ? "CANCELLED"
    : (Code[code] ?? "").replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();

test("every reason has the code that error_reason.proto gives it", (t) => {
  const reasons = contract();
  t.deepEqual(Object.keys(codes).sort(), [...reasons.keys()].sort());
  for (const [reason, code] of Object.entries(codes))
    t.true(reasons.get(reason)?.includes(nameOf(code)), `${reason} is ${nameOf(code)}`);
});
