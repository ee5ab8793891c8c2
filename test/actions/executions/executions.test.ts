import { randomUUID } from "node:crypto";
import { Code } from "@connectrpc/connect";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { ExecutionStatus, ExecutionView } from "../../../src/gen/sigrun/v1/execution_service_pb.ts";
import { failure } from "../../_errors.ts";
import { type Gateway, shared, startTwo, type TwoGateways } from "../../_gateway.ts";
import { until } from "../../_wait.ts";

// Two gateways on one database. Serial: the tests share a model.
type Context = TwoGateways & { programId: string };
const test = anyTest.serial as TestFn<Context>;
const file = shared(anyTest);
const inputs = { question: "Where?" };
test.before(async (t) => {
  const gateways = await startTwo(file);
  const { program } = await gateways.one.programs.createProgram({
    program: { name: "Under Test", signature: { text: "question -> answer, confidence: float" } },
  });
  t.context = { ...gateways, programId: program?.id ?? "" };
});
test.beforeEach(({ context }) => context.model.script({ fields: { answer: "here", confidence: 0.5 } }));
type T = ExecutionContext<Context>;

/** Starts a run and waits until the model has its request, which it does not answer. */
async function hang({ context }: T, requestId = "") {
  const { one, model, programId } = context;
  model.script({ hang: true });
  const requestsBefore = model.requests.length;
  let id = "";
  const call = one.programs.executeProgram(
    { programId, inputs, requestId },
    { onHeader: (header) => (id = header.get("sigrun-execution-id") ?? "") },
  );
  call.catch(() => {});
  await until(() => model.requests.length > requestsBefore);
  const { executions } = await one.executions.listExecutions({ pageSize: 1 });
  return { call, id: () => id || (executions[0]?.id ?? "") };
}

test("the gateway that runs a run cancels it together with its request to the model", async (t) => {
  const { one, model } = t.context;
  const { call, id } = await hang(t);
  const aborted = model.aborted();
  const { execution } = await one.executions.cancelExecution({ key: { case: "id", value: id() } });
  t.like(execution, { status: ExecutionStatus.CANCELLED, errorReason: "CANCELLED" });
  t.like(await failure(t, call), {
    code: Code.Canceled,
    reason: "CANCELLED",
    metadata: { execution_id: id() },
  });
  await until(() => model.aborted() > aborted);
});

test("another gateway than the running one cancels a run", async (t) => {
  const { two, model } = t.context;
  const { call, id } = await hang(t);
  const aborted = model.aborted();
  const { execution } = await two.executions.cancelExecution({ key: { case: "id", value: id() } });
  t.like(execution, { status: ExecutionStatus.CANCELLED, errorReason: "CANCELLED" });
  t.like(await failure(t, call), { code: Code.Canceled });
  await until(() => model.aborted() > aborted);
});

test("a run can be cancelled by its request_id", async (t) => {
  const requestId = randomUUID();
  const { call, id } = await hang(t, requestId);
  const { execution } = await t.context.two.executions.cancelExecution({
    key: { case: "requestId", value: requestId },
  });
  t.like(execution, { id: id(), status: ExecutionStatus.CANCELLED, requestId });
  t.like(await failure(t, call), { code: Code.Canceled });
  const again = t.context.two.programs.executeProgram({ programId: t.context.programId, inputs, requestId });
  t.like(await failure(t, again), {
    code: Code.Canceled,
    reason: "CANCELLED",
    metadata: { execution_id: id() },
  });
});

test("a run of a suspended gateway is recorded as cancelled, and stays so when the gateway resumes", async (t) => {
  const { one, two } = t.context;
  const { call, id } = await hang(t);
  one.process.kill("SIGSTOP");
  try {
    const { execution } = await two.executions.cancelExecution({ key: { case: "id", value: id() } });
    t.is(execution?.status, ExecutionStatus.CANCELLED);
  } finally {
    one.process.kill("SIGCONT");
  }
  t.like(await failure(t, call), { code: Code.Canceled });
  t.is((await two.executions.getExecution({ id: id() })).execution?.status, ExecutionStatus.CANCELLED);
});

test("refuses to cancel a run that has ended or does not exist", async (t) => {
  const { one, programId } = t.context;
  const { execution } = await one.programs.executeProgram({ programId, inputs });
  const cancel = (value: string) =>
    failure(t, one.executions.cancelExecution({ key: { case: "id", value } }));
  t.like(await cancel(execution?.id ?? ""), { code: Code.FailedPrecondition, reason: "STATUS_CONFLICT" });
  t.like(await cancel(randomUUID()), { code: Code.NotFound });
  t.like(await cancel("x"), { code: Code.InvalidArgument, paths: ["id"] });
  t.like(await failure(t, one.executions.cancelExecution({})), { code: Code.InvalidArgument, paths: ["id"] });
  t.like(
    await failure(t, one.executions.cancelExecution({ key: { case: "requestId", value: randomUUID() } })),
    { code: Code.NotFound },
  );
});

test("an external run takes exactly the steps of the table", async (t) => {
  const { executions } = t.context.one;
  const { programId } = t.context;
  const begin = async () => (await executions.createExecution({ programId, inputs })).execution?.id ?? "";
  const outputs = { answer: "there", confidence: 1 };
  const steps = {
    start: (id: string) => executions.startExecution({ id }),
    complete: (id: string) => executions.completeExecution({ id, outputs }),
    fail: (id: string) => executions.failExecution({ id, errorMessage: "lost", errorReason: "LOST" }),
    cancel: (id: string) => executions.cancelExecution({ key: { case: "id", value: id } }),
  };
  type Step = keyof typeof steps;
  const allowed: Record<string, Step[]> = {
    "": ["start", "fail", "cancel"],
    start: ["complete", "fail", "cancel"],
    "start complete": [],
    "start fail": [],
    "start cancel": [],
    fail: [],
    cancel: [],
  };
  for (const [way, next] of Object.entries(allowed))
    for (const step of Object.keys(steps) as Step[]) {
      const id = await begin();
      for (const earlier of way.split(" ").filter(Boolean)) await steps[earlier as Step](id);
      if (next.includes(step)) await t.notThrowsAsync(() => steps[step](id), `${way} -> ${step}`);
      else t.is((await failure(t, steps[step](id))).code, Code.FailedPrecondition, `${way} -> ${step}`);
    }
});

test("of many calls that end one run over two gateways, one wins and the others get STATUS_CONFLICT", async (t) => {
  const { one, two, programId } = t.context;
  const { execution } = await one.executions.startExecution({ programId, inputs });
  const id = execution?.id ?? "";
  const outputs = { answer: "there", confidence: 1 };
  const ends = [one, two, one, two].flatMap(({ executions }) => [
    executions.completeExecution({ id, outputs }),
    executions.failExecution({ id, errorMessage: "x" }),
  ]);
  const ended = await Promise.allSettled(ends);
  t.is(ended.filter(({ status }) => status === "fulfilled").length, 1);
  const codes = ended.flatMap((end) => (end.status === "rejected" ? [end.reason.code] : []));
  t.deepEqual([...new Set(codes)], [Code.FailedPrecondition]);
});

test("an invalid output is OUTPUT_INVALID, with its violations and the raw answer on record", async (t) => {
  const { one, model, programId } = t.context;
  model.script({ fields: { answer: "here", confidence: "quite" } });
  const unread = await failure(t, one.programs.executeProgram({ programId, inputs }));
  t.like(unread, { code: Code.Internal, reason: "OUTPUT_INVALID", paths: ["outputs.confidence"] });
  t.regex(unread.message, /outputs: confidence: must be a finite number$/);

  const fields = [
    { name: "confidence", type: "float", constraints: { min: 0, max: 1 } },
    { name: "mood", type: "str", constraints: { pattern: "[a-z]+" } },
  ];
  const signature = { inputs: [{ name: "question" }], outputs: fields };
  const { program } = await one.programs.createProgram({ program: { name: "Bounded", signature } });
  model.script({ fields: { confidence: 7, mood: "Good!" } });
  const wrong = await failure(t, one.programs.executeProgram({ programId: program?.id ?? "", inputs }));
  t.like(wrong, {
    code: Code.Internal,
    reason: "OUTPUT_INVALID",
    paths: ["outputs.confidence", "outputs.mood"],
  });
  const { execution } = await one.executions.getExecution({ id: wrong.metadata.execution_id ?? "" });
  t.is(execution?.status, ExecutionStatus.FAILED);
  t.deepEqual(
    execution?.violations.map(({ field, reason }) => `${field} ${reason}`),
    ["confidence range", "mood pattern"],
  );
  t.regex(execution?.steps[0]?.rawAnswer ?? "", /\[\[ ## confidence ## \]\]\n7/);
  t.is(execution?.outputs, undefined);
});

test("an integer above the range of numbers is an invalid output", async (t) => {
  const { one, model } = t.context;
  const { program } = await one.programs.createProgram({
    program: { name: "Counting", signature: { text: "question -> count: int" } },
  });
  for (const count of [`1${"0".repeat(30)}`, `1${"0".repeat(400)}`]) {
    model.script({ fields: { count } });
    const refused = await failure(t, one.programs.executeProgram({ programId: program?.id ?? "", inputs }));
    t.like(refused, { code: Code.Internal, reason: "OUTPUT_INVALID" });
    const { execution } = await one.executions.getExecution({ id: refused.metadata.execution_id ?? "" });
    t.true(execution?.steps[0]?.rawAnswer.includes(count), "the answer stays on the record");
  }
});

test("the raw answer of a model is kept only if it is invalid", async (t) => {
  const { one, programId } = t.context;
  const { execution } = await one.programs.executeProgram({ programId, inputs });
  t.is((await one.executions.getExecution({ id: execution?.id ?? "" })).execution?.steps[0]?.rawAnswer, "");
});

test("only annotations can be changed; of two changes with one etag, one wins", async (t) => {
  const { one, two, programId } = t.context;
  const run = await one.programs.executeProgram({ programId, inputs, labels: { team: "search" } });
  const { id = "", etag = "" } = run.execution ?? {};
  t.is((await two.executions.getExecution({ id })).execution?.etag, etag);
  const shown = await one.executions.updateExecution({
    execution: { id, labels: { a: "b" } },
    validateOnly: true,
  });
  t.deepEqual(shown.execution?.labels, { a: "b" });

  const update = ({ executions }: Gateway, value: string) =>
    executions.updateExecution({ execution: { id, etag, labels: { value } } });
  const ended = await Promise.allSettled([update(one, "1"), update(two, "2")]);
  t.is(ended.filter(({ status }) => status === "fulfilled").length, 1);
  const [lost] = ended.filter((end) => end.status === "rejected");
  t.is(lost?.reason.code, Code.Aborted);

  const cleared = await one.executions.updateExecution({
    execution: { id },
    updateMask: { paths: ["labels"] },
  });
  t.deepEqual(cleared.execution?.labels, {});
  const wrong = one.executions.updateExecution({
    execution: { id, errorMessage: "x" },
    updateMask: { paths: ["error_message"] },
  });
  t.like(await failure(t, wrong), { code: Code.InvalidArgument, paths: ["update_mask.paths[0]"] });
});

test("a record is deleted with its request_id; the record of a running run is not", async (t) => {
  const { one, two, programId } = t.context;
  const requestId = randomUUID();
  const first = await one.programs.executeProgram({ programId, inputs, requestId });
  await two.executions.deleteExecution({ id: first.execution?.id ?? "" });
  t.like(await failure(t, one.executions.getExecution({ id: first.execution?.id ?? "" })), {
    code: Code.NotFound,
  });
  t.not(
    (await one.programs.executeProgram({ programId, inputs, requestId })).execution?.id,
    first.execution?.id,
  );

  const { call, id } = await hang(t);
  t.like(await failure(t, two.executions.deleteExecution({ id: id() })), {
    code: Code.FailedPrecondition,
    reason: "STATUS_CONFLICT",
  });
  await two.executions.cancelExecution({ key: { case: "id", value: id() } });
  await t.throwsAsync(call);
});

test("the basic view leaves out inputs, outputs and steps", async (t) => {
  const { one, programId } = t.context;
  const { execution } = await one.programs.executeProgram({ programId, inputs });
  const basic = await one.executions.getExecution({ id: execution?.id ?? "", view: ExecutionView.BASIC });
  t.like(basic.execution, { inputs: undefined, outputs: undefined, steps: [] });
  const full = await one.executions.listExecutions({ pageSize: 1, view: ExecutionView.FULL });
  t.deepEqual(full.executions[0]?.inputs, inputs);
});
