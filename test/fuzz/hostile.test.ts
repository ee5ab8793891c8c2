import { setImmediate } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import test from "ava";
import { createHostility, createRandom } from "../_fuzz.ts";
import { startScripted } from "../_gateway.ts";
import { createProgram, record } from "../_recorded.ts";

test("10,000 hostile strings in filter, order_by, page_token and distinct_on are answered or refused as INVALID_ARGUMENT", async (t) => {
  t.timeout(300_000);
  const { gateway } = await startScripted(t);
  const { signatures, programs, executions, optimizations } = gateway;
  const programId = await createProgram(gateway, "Asked");
  for (const team of ["search", "ads", "ads"])
    await record(gateway, programId, {
      inputs: { question: "Will it rain?" },
      outputs: { answer: "yes" },
      labels: { team },
    });
  const random = createRandom(11);
  const hostility = createHostility(random, [
    "status",
    "COMPLETED",
    "inputs.question",
    "labels.team",
    "created_at",
    "duration_ms",
    "steps.outputs.x",
  ]);
  const parts = [
    " AND ",
    " OR ",
    "NOT ",
    "-",
    "(",
    ")",
    "=",
    "!=",
    "<",
    ">=",
    ":",
    "*",
    '"',
    "'",
    "\\",
    ".",
    ",",
    " desc",
    "1e400",
    "5s",
    "$1",
    "::uuid",
    "\n",
    " ",
  ];
  const text = () =>
    Array.from({ length: 1 + random.below(8) }, () =>
      random.chance(0.5) ? random.pick(parts) : hostility.text(),
    ).join("");
  // Page tokens of valid queries, with other keys.
  const orders = [
    "",
    "duration_ms",
    "created_at, status",
    "inputs.question desc, id",
    "labels.team",
    "completed_at, id desc",
  ];
  const forgedPages = await Promise.all(
    orders.map(async (orderBy) => {
      const { nextPageToken } = await executions.listExecutions({ orderBy, pageSize: 1 });
      const [hash, ...keys] = JSON.parse(Buffer.from(nextPageToken, "base64url").toString()) as string[];
      const token = () =>
        Buffer.from(
          JSON.stringify([hash, ...keys.map((key) => (random.chance(0.4) ? key : text()))]),
        ).toString("base64url");
      return () => ({ orderBy, pageToken: token(), pageSize: 1 });
    }),
  );
  const counted: Record<string, number> = {};
  async function ask(): Promise<void> {
    const query = {
      ...(random.chance(0.7) && { filter: text() }),
      ...(random.chance(0.3) && { orderBy: text() }),
      ...(random.chance(0.1) && { pageToken: text() }),
      pageSize: 1,
      countTotal: random.chance(0.3),
    };
    const list = { ...query, distinctOn: random.chance(0.2) ? [text(), text()].slice(random.below(2)) : [] };
    const call = random.pick([
      () => executions.listExecutions(list),
      () => executions.listExecutions(random.pick(forgedPages)()),
      () => programs.listPrograms(list),
      () => programs.listRevisions({ programId: "asked", ...list }),
      () => signatures.listSignatures(list),
      () => optimizations.listOptimizations(list),
      () => executions.aggregateExecutions({ filter: text(), groupBy: list.distinctOn }),
    ]);
    const outcome = await call().then(
      () => "OK",
      (error: unknown) => (error instanceof ConnectError ? Code[error.code] : String(error)),
    );
    counted[outcome] = (counted[outcome] ?? 0) + 1;
  }
  async function askMany(): Promise<void> {
    for (let left = 1_250; left > 0; left--) await ask();
    await setImmediate();
  }
  await Promise.all(Array.from({ length: 8 }, askMany));
  t.log(counted);
  t.deepEqual(Object.keys(counted).sort(), ["InvalidArgument", "OK"]);
});
