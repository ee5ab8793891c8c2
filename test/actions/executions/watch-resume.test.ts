import { Code } from "@connectrpc/connect";
import anyTest, { type TestFn } from "ava";
import { openStoreAt } from "../../_database.ts";
import { failure } from "../../_errors.ts";
import { shared, startGateway, startScripted, startTwo, type TwoGateways } from "../../_gateway.ts";
import { until } from "../../_wait.ts";
import { begin, complete, createProgram, watch } from "../../_watching.ts";

const test = anyTest as TestFn<TwoGateways>;
const file = shared(anyTest);

test.before(async (t) => {
  t.context = await startTwo(file);
});

/** The events of each execution, in their order. */
const byExecution = (lines: readonly string[]) =>
  Object.groupBy(lines, (line) => line.split(" ")[0] as string);

test("a watch that resumes from any event, on any gateway, gets exactly the events after it", async (t) => {
  const { one, two } = t.context;
  const { programId, filter } = await createProgram(t.context, "Resumed");
  const { events, seen } = await watch(t, one, { filter });
  await Promise.all(
    Array.from({ length: 40 }, async (_, index) => {
      const gateway = index % 2 === 0 ? one : two;
      await complete(gateway, await begin(gateway, programId));
    }),
  );
  await until(() => seen().length === 80);
  const all = seen();
  t.is(new Set(all).size, 80);
  for (const [id, lines] of Object.entries(byExecution(all)))
    t.deepEqual(lines, [`${id} RUNNING`, `${id} COMPLETED`]);
  const changes = events.filter(({ event }) => event.case === "execution");
  for (const from of [0, 1, 17, 40, 78]) {
    const again = await watch(t, from % 2 === 0 ? two : one, {
      filter,
      resumeToken: changes[from]?.resumeToken ?? "",
    });
    await until(() => again.seen().length >= 79 - from);
    // Changes of one execution are ordered; changes of two that commit at once are not.
    t.deepEqual(byExecution(again.seen()), byExecution(all.slice(from + 1)));
    again.leave();
  }
});

test("a watch that resumes too late gets lagged, and then the changes from then on", async (t) => {
  const { gateway, env } = await startScripted(t, { SIGRUN_DATABASE_SCHEMA: "late" });
  const context = { ...t.context, one: gateway };
  const { programId, filter } = await createProgram(context, "Forgotten");
  const { events, leave } = await watch(t, gateway, { filter });
  leave();
  await begin(gateway, programId);
  const kept = await watch(t, gateway, { filter });
  kept.leave();
  const store = await openStoreAt(env.DATABASE_URL ?? "", "late", 1);
  await store.changeLog.mark();
  while ((await store.changeLog.forget(0)) > 0);
  await store.changeLog.mark();
  await store.close();
  const late = await watch(t, gateway, { filter, resumeToken: events[0]?.resumeToken ?? "" });
  t.is(late.events[0]?.event.case, "lagged");
  const id = await begin(gateway, programId);
  await until(() => late.seen().length > 0);
  t.deepEqual(late.seen(), [`${id} RUNNING`]);
  const resumed = await watch(t, gateway, { filter, resumeToken: late.events[0]?.resumeToken ?? "" });
  t.is(resumed.events[0]?.event.case, "execution");
});

test("a watch without changes has a heartbeat every 10 s, from which it can resume", async (t) => {
  const { one, two } = t.context;
  const { programId, filter } = await createProgram(t.context, "Quiet");
  const { events, leave } = await watch(t, one, { filter });
  const began = performance.now();
  await until(() => events.length === 3);
  t.true(performance.now() - began > 15_000);
  t.deepEqual([...new Set(events.map(({ event }) => event.case))], ["heartbeat"]);
  leave();
  const id = await begin(two, programId);
  const { seen } = await watch(t, two, { filter, resumeToken: events[2]?.resumeToken ?? "" });
  await until(() => seen().length > 0);
  t.deepEqual(seen(), [`${id} RUNNING`]);
});

test("a watch resumes after a restart of the gateway", async (t) => {
  const first = await startGateway(t, t.context.env);
  const { programId, filter } = await createProgram({ ...t.context, one: first }, "Started again");
  const { events, leave } = await watch(t, first, { filter });
  leave();
  await first.stop();
  const id = await begin(t.context.two, programId);
  const second = await startGateway(t, t.context.env);
  const { seen } = await watch(t, second, { filter, resumeToken: events[0]?.resumeToken ?? "" });
  await until(() => seen().length > 0);
  t.deepEqual(seen(), [`${id} RUNNING`]);
});

test("refuses an invalid resume_token", async (t) => {
  const { one } = t.context;
  const token = (...parts: unknown[]) => Buffer.from(JSON.stringify(parts)).toString("base64url");
  const tokens = [
    "x",
    token(),
    token("5:4:"),
    token("5:9:4"),
    token("1:2:'; --"),
    token("1:1:", "1:1:", "-1"),
    token("1:1:", 2),
    token("0:0:"),
  ];
  for (const resumeToken of tokens)
    t.like(
      await failure(t, watch(t, one, { resumeToken })),
      { code: Code.InvalidArgument, reason: "REQUEST_INVALID", paths: ["resume_token"] },
      resumeToken,
    );
});
