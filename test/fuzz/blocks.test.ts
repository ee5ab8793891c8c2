import test from "ava";
import { startBlockMeter } from "../_blocks.ts";
import { type LargeRequest, largeRequests } from "../_large-requests.ts";

/** The goal of `npm run bench:block` is 100 ms; this leaves room for a busy machine. */
const maxMs = 400;
const methods = new Set(["ValidateInputs", "CreateProgram", "ListExecutions"]);
/** The bench sends the others, whose runs take seconds. */
const isSent = ({ method, name }: LargeRequest) =>
  methods.has(method.name) || (method.name === "ExecuteProgram" && name.endsWith("unknown inputs"));

test("requests of 4 MiB are answered or refused, and hold the event loop only briefly", async (t) => {
  t.timeout(180_000);
  const meter = await startBlockMeter(t);
  const held: string[] = [];
  let sent = 0;
  for (const request of largeRequests()) {
    if (!isSent(request) || request.name.startsWith("a long ")) continue;
    for (const format of ["json", "proto"] as const) {
      const block = await meter.send(request, format);
      if (!block) continue;
      sent += 1;
      const what = `${request.method.name} as ${format}: ${request.name}: ${block.ms.toFixed(0)} ms, ${block.answer}`;
      if (block.ms > maxMs || ["internal", "unknown"].includes(block.answer)) held.push(what);
    }
  }
  t.deepEqual(held, []);
  t.true(sent > 30, `${sent} sent`);
});
