import { readFileSync } from "node:fs";
import { Code } from "@connectrpc/connect";
import anyTest, { type TestFn } from "ava";
import pg from "pg";
import { ExecutionStatus, ExecutionView } from "../../../src/gen/sigrun/v1/execution_service_pb.ts";
import { runSql } from "../../_database.ts";
import { failure } from "../../_errors.ts";
import { shared, startGateway, startTwo, type Teardown, type TwoGateways } from "../../_gateway.ts";
import { startProxy } from "../../_proxy.ts";
import { until } from "../../_wait.ts";
import { begin, complete, createProgram, watch } from "../../_watching.ts";

const test = anyTest as TestFn<TwoGateways>;
const file = shared(anyTest);

test.before(async (t) => {
  t.context = await startTwo(file);
});

test("a watch gives every change of the executions that match in order, whichever gateway makes it", async (t) => {
  const { one, two } = t.context;
  const { programId, filter } = await createProgram(t.context, "Told");
  const { events, seen } = await watch(t, one, { filter, view: ExecutionView.FULL });
  t.is(events[0]?.event.case, "heartbeat");
  const { execution } = await two.executions.createExecution({ programId, inputs: { question: "Where?" } });
  const id = execution?.id ?? "";
  await one.executions.startExecution({ id });
  await two.executions.updateExecution({
    execution: { id, labels: { team: "a" } },
    updateMask: { paths: ["labels"] },
  });
  await complete(one, id, "here");
  await two.executions.deleteExecution({ id });
  const other = await begin(two, programId);
  await until(() => seen().length >= 2 && seen().includes(`${other} RUNNING`));
  // The watch may read only the deletion, so earlier changes of that execution are not asserted.
  t.deepEqual(seen().slice(-2), [`${id} deleted`, `${other} RUNNING`]);
});

test("each event has the execution as it was after that change, not as it is now", async (t) => {
  const { one, two } = t.context;
  const { programId, filter } = await createProgram(t.context, "As it was");
  const { events: earlier, leave } = await watch(t, one, { filter });
  leave();
  const { execution } = await two.executions.createExecution({ programId, inputs: { question: "Where?" } });
  const id = execution?.id ?? "";
  await two.executions.startExecution({ id });
  await two.executions.completeExecution({
    id,
    outputs: { answer: "here" },
    durationMs: 7n,
    tokenUsage: { inputTokens: 3n },
  });
  await two.executions.updateExecution({
    execution: { id, labels: { team: "a" } },
    updateMask: { paths: ["labels"] },
  });
  const { events } = await watch(t, one, {
    filter,
    resumeToken: earlier[0]?.resumeToken ?? "",
    view: ExecutionView.FULL,
  });
  // A heartbeat comes first if the first step read only changes of other tests.
  const executions = () => events.flatMap(({ event }) => (event.case === "execution" ? [event.value] : []));
  await until(() => executions().length >= 4);
  const seen = executions();
  t.like(seen[0], { id, status: ExecutionStatus.PENDING, inputs: { question: "Where?" }, labels: {} });
  t.deepEqual([seen[0]?.startedAt, seen[0]?.outputs, seen[0]?.durationMs], [undefined, undefined, undefined]);
  t.like(seen[1], { status: ExecutionStatus.RUNNING, completedAt: undefined, outputs: undefined });
  t.truthy(seen[1]?.startedAt);
  t.like(seen[2], {
    status: ExecutionStatus.COMPLETED,
    outputs: { answer: "here" },
    durationMs: 7n,
    labels: {},
  });
  t.like(seen[3], { status: ExecutionStatus.COMPLETED, labels: { team: "a" } });
  const { execution: now } = await one.executions.getExecution({ id });
  t.deepEqual(seen[3], now);
});

test("a watch gives the changes of executions that match its filter at the time of the change", async (t) => {
  const { one, two } = t.context;
  const { programId, filter } = await createProgram(t.context, "Filtered");
  const watched = await watch(t, one, {
    filter: `${filter} AND status = COMPLETED AND outputs.answer : "yes" AND inputs.question : "rain"`,
  });
  const stepless = await watch(t, one, { filter: `${filter} AND status = COMPLETED AND NOT steps.module:*` });
  const ids: string[] = [];
  for (const [question, answer] of [
    ["Rain?", "yes"],
    ["Rain?", "no"],
    ["Sun?", "yes"],
    ["rain", "Yes!"],
  ] as const) {
    const id = await begin(two, programId, question);
    await complete(two, id, answer);
    ids.push(id);
  }
  await until(() => watched.seen().length >= 2);
  t.deepEqual(watched.seen(), [`${ids[0]} COMPLETED`, `${ids[3]} COMPLETED`]);
  await until(() => stepless.seen().length >= 4);
  t.deepEqual(
    stepless.seen(),
    ids.map((id) => `${id} COMPLETED`),
  );
  t.like(await failure(t, watch(t, one, { filter: "nothing = 1" })), {
    code: Code.InvalidArgument,
    reason: "FILTER_INVALID",
  });
});

test("no change is missed that is committed after a later one", async (t) => {
  const { one, url, schema } = t.context;
  const { programId, filter } = await createProgram(t.context, "Late");
  const [early, late] = [await begin(one, programId), await begin(one, programId)];
  const { seen } = await watch(t, one, { filter });
  const [first, second] = await Promise.all([connect(t, url, schema), connect(t, url, schema)]);
  const change = (client: pg.Client, id: string) =>
    client.query('UPDATE executions SET labels = \'{"a": "b"}\' WHERE id = $1', [id]);
  await first.query("BEGIN");
  await change(first, early);
  await change(second, late);
  await until(() => seen().length === 1);
  t.deepEqual(seen(), [`${late} RUNNING`]);
  await first.query("COMMIT");
  await until(() => seen().length === 2);
  t.deepEqual(seen(), [`${late} RUNNING`, `${early} RUNNING`]);
});

async function connect(t: Teardown, url: string, schema: string): Promise<pg.Client> {
  const client = new pg.Client(url);
  await client.connect();
  t.teardown(() => client.end());
  await client.query(`SET search_path TO ${schema}`);
  return client;
}

test("a watch gets all changes of another process across a lost connection to the database", async (t) => {
  const { env, two, url } = t.context;
  const proxy = await startProxy(Number(new URL(url).port));
  t.teardown(proxy.close);
  const through = new URL(url);
  through.port = String(proxy.port);
  const gateway = await startGateway(t, { ...env, DATABASE_URL: through.href });
  const { programId, filter } = await createProgram(t.context, "Lost");
  const { seen } = await watch(t, gateway, { filter });
  const ids = [await begin(two, programId)];
  await until(() => seen().length === 1);
  proxy.cut();
  for (let left = 20; left > 0; left--) ids.push(await begin(two, programId));
  proxy.restore();
  ids.push(await begin(two, programId));
  await until(() => seen().length >= 22);
  t.deepEqual(
    seen(),
    ids.map((id) => `${id} RUNNING`),
  );
});

// Alone: the test measures the memory of a whole gateway.
test.serial("a slow reader gets all events without using more memory", async (t) => {
  t.timeout(300_000);
  const { one, two, url, schema } = t.context;
  const pid = one.process.pid ?? 0;
  const { programId, filter } = await createProgram(t.context, "Slow");
  const rss = () =>
    Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
  const leave = new AbortController();
  t.teardown(() => leave.abort());
  const changes = one.executions
    .watchExecutions({ filter, view: ExecutionView.FULL }, { signal: leave.signal })
    [Symbol.asyncIterator]();
  await changes.next();
  const before = rss();
  for (let left = 12; left > 0; left--) {
    // In SQL, because a hundred calls with long texts cost far more CPU.
    await runSql(
      url,
      schema,
      `INSERT INTO executions (project_id, id, program_id, revision, status, inputs, started_at, updated_at)
       SELECT project_id, uuidv7(), id, 1, 'running', jsonb_build_object('question', repeat('x', 200000)), now(), now()
       FROM programs, generate_series(1, 100) WHERE id = $1`,
      [programId],
    );
    // The call tells the gateways that there are changes.
    await begin(two, programId);
  }
  await rests(pid);
  const behind = rss();
  const seen = new Set<string>();
  while (seen.size < 1_212) {
    const { value } = await changes.next();
    if (value?.event.case === "execution") seen.add(value.event.value.id);
  }
  t.log(
    `${Math.round(before)} MiB before, ${Math.round(behind)} MiB while 240 MB wait, ${Math.round(rss())} MiB after`,
  );
  t.true(behind - before < 160, `${before} to ${behind}`);
});

/** Waits until a process has used less than 5 % of a core for a second. */
async function rests(pid: number): Promise<void> {
  const ticks = () => {
    const [, fields = ""] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ");
    return fields
      .split(" ")
      .slice(11, 13)
      .reduce((sum, count) => sum + Number(count), 0);
  };
  let last = { ticks: ticks(), at: performance.now() };
  await until(() => {
    if (performance.now() < last.at + 1_000) return false;
    const now = { ticks: ticks(), at: performance.now() };
    const isResting = now.ticks - last.ticks < 5;
    last = now;
    return isResting;
  });
}

test("a gateway that stops ends its watches at once, and says how to resume", async (t) => {
  const gateway = await startGateway(t, t.context.env);
  const { ended } = await watch(t, gateway);
  const [fault, code] = await Promise.all([failure(t, ended), gateway.stop()]);
  t.like(fault, { code: Code.Unavailable, reason: "INTERRUPTED" });
  t.is(code, 0);
});

test("refuses more than 100 watches per gateway until one of them ends", async (t) => {
  const gateway = await startGateway(t, t.context.env);
  const watches = await Promise.all(Array.from({ length: 100 }, () => watch(t, gateway)));
  const fault = await failure(t, watch(t, gateway));
  t.like(fault, { code: Code.ResourceExhausted, reason: "OVERLOADED", retrySeconds: 10 });
  for (const { leave } of watches) leave();
  await until(() => watch(t, gateway).catch(() => undefined));
  t.pass();
});
