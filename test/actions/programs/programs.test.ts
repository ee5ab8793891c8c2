import { randomUUID } from "node:crypto";
import { Code } from "@connectrpc/connect";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { type Program, ProgramStatus } from "../../../src/gen/sigrun/v1/program_service_pb.ts";
import { runSql } from "../../_database.ts";
import { failure } from "../../_errors.ts";
import { type Gateway, shared, startTwo, type TwoGateways } from "../../_gateway.ts";

// Two gateways on one database: a change through one is visible through the other.
const test = anyTest as TestFn<TwoGateways>;
const file = shared(test);
test.before(async (t) => {
  t.context = await startTwo(file);
});
type T = ExecutionContext<TwoGateways>;

const signature = { text: "question -> answer" };
const inputs = { question: "Where?" };

async function create(t: T, program = {}): Promise<Program> {
  const made = await t.context.one.programs.createProgram({
    program: { name: "Under Test", signature, ...program },
  });
  return made.program as Program;
}
const ready = async (t: T, program = {}) => {
  const { id } = await create(t, program);
  return (await t.context.one.programs.compileProgram({ programId: id })).program as Program;
};
/** The result of the call that won, and the error of the other one. */
async function race(calls: Promise<unknown>[]) {
  const ended = await Promise.allSettled(calls);
  const lost = ended.filter(({ status }) => status === "rejected") as PromiseRejectedResult[];
  return { won: ended.length - lost.length, codes: lost.map(({ reason }) => reason.code as Code) };
}

test("an update of name, description or labels makes no revision", async (t) => {
  const { id, handle } = await ready(t);
  const asked = { id: handle, name: "Renamed", description: "Says where.", labels: { team: "search" } };
  const { program } = await t.context.two.programs.updateProgram({ program: asked });
  t.like(program, {
    id,
    handle,
    name: "Renamed",
    description: "Says where.",
    labels: { team: "search" },
    revision: 1,
    status: ProgramStatus.READY,
  });
});

test("an update of signature, modules or lm makes a revision, a draft", async (t) => {
  const { id } = await ready(t);
  const { programs } = t.context.one;
  const updated = await programs.updateProgram({ program: { id, modules: [{ type: "ChainOfThought" }] } });
  t.like(updated.program, { revision: 2, status: ProgramStatus.DRAFT });
  const wider = await programs.updateProgram({
    program: { id, signature: { text: "question -> answer, confidence: float" } },
  });
  t.is(wider.program?.revision, 3);
  t.is(wider.program?.modules[0]?.type, "ChainOfThought");
  // The module gets the new signature too, since it has none of its own.
  t.is(wider.program?.modules[0]?.signature, undefined);
  const warm = await programs.updateProgram({ program: { id, lm: { temperature: 1 } } });
  t.like(warm.program, { revision: 4, lm: { temperature: 1 } });
  const { revisions } = await programs.listRevisions({ programId: id });
  t.deepEqual(
    revisions.map(({ number, origin }) => `${number} ${origin}`),
    ["4 updated", "3 updated", "2 updated", "1 created"],
  );
});

test("a program that is read and sent back does not change", async (t) => {
  const program = await ready(t, {
    modules: [
      { name: "think", type: "ChainOfThought", signature: { text: "question -> draft" } },
      {
        name: "say",
        signature: { text: "draft, thoughts -> answer" },
        type: "Predict",
        inputFrom: { thoughts: "think.reasoning" },
      },
    ],
  });
  const { program: again } = await t.context.two.programs.updateProgram({ program });
  t.is(again?.revision, 1);
  t.is(again?.etag, program.etag);
  t.deepEqual(again?.modules, program.modules);
});

test("only the parts in update_mask change, and a part can be cleared", async (t) => {
  const { id } = await create(t, {
    description: "x",
    labels: { a: "b" },
    lm: { temperature: 1 },
    modules: [{ type: "ChainOfThought" }],
  });
  const cleared = await t.context.one.programs.updateProgram({
    program: { id, name: "Left alone" },
    updateMask: { paths: ["description", "labels", "lm", "modules"] },
  });
  t.like(cleared.program, { name: "Under Test", description: "", labels: {}, revision: 2 });
  t.is(cleared.program?.lm?.temperature, undefined);
  t.is(cleared.program?.modules[0]?.type, "Predict");
  const wrong = await failure(
    t,
    t.context.one.programs.updateProgram({
      program: { id },
      updateMask: { paths: ["name", "handle", "status"] },
    }),
  );
  t.like(wrong, { code: Code.InvalidArgument, paths: ["update_mask.paths[1]", "update_mask.paths[2]"] });
});

test("refuses an invalid update with the path of each violation, and changes nothing", async (t) => {
  const { id, etag } = await create(t);
  const program = { id, name: "x".repeat(201), labels: { "1x": "" } };
  t.like(await failure(t, t.context.one.programs.updateProgram({ program })), {
    code: Code.InvalidArgument,
    paths: ['program.labels["1x"]', "program.name"],
  });
  t.like(
    await failure(t, t.context.one.programs.updateProgram({ program: { id, modules: [{ type: "Nope" }] } })),
    {
      paths: ["program.modules[0].type"],
    },
  );
  t.like(await failure(t, t.context.one.programs.updateProgram({ program: { id, handle: "another" } })), {
    paths: ["program.handle"],
  });
  t.like(await failure(t, t.context.one.programs.updateProgram({ program: { id: "nobody", name: "x" } })), {
    code: Code.NotFound,
  });
  t.like((await t.context.one.programs.getProgram({ id })).program, { etag, revision: 1 });
});

test("validate_only shows the result and writes nothing", async (t) => {
  const { id, etag } = await create(t);
  const shown = await t.context.one.programs.updateProgram({
    program: { id, modules: [{ type: "ChainOfThought" }] },
    validateOnly: true,
  });
  t.like(shown.program, { revision: 2, status: ProgramStatus.DRAFT });
  t.like((await t.context.one.programs.getProgram({ id })).program, { etag, revision: 1 });
});

test("of two updates with one etag over two gateways, one wins and the other is ABORTED", async (t) => {
  const { id, etag } = await create(t);
  const update = (gateway: Gateway, name: string) =>
    gateway.programs.updateProgram({ program: { id, etag, name } });
  const { won, codes } = await race([update(t.context.one, "One"), update(t.context.two, "Two")]);
  t.deepEqual([won, codes], [1, [Code.Aborted]]);
});

test("revisions made at once over two gateways have numbers without gaps, and none is lost", async (t) => {
  const { id } = await create(t);
  const update = (n: number) =>
    (n % 2 ? t.context.one : t.context.two).programs.updateProgram({
      program: { id, lm: { maxTokens: n + 1 } },
    });
  await Promise.all(Array.from({ length: 10 }, (_, n) => update(n)));
  const { revisions } = await t.context.one.programs.listRevisions({ programId: id });
  t.deepEqual(
    revisions.map(({ number }) => number),
    [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1],
  );
  t.is(new Set(revisions.map(({ lm }) => lm?.maxTokens)).size, 11);
});

test("revisions are listed in pages, and each can be read with its own modules", async (t) => {
  const { id } = await create(t);
  for (const maxTokens of [1, 2])
    await t.context.one.programs.updateProgram({ program: { id, lm: { maxTokens } } });
  const first = await t.context.two.programs.listRevisions({ programId: id, pageSize: 2 });
  const second = await t.context.two.programs.listRevisions({
    programId: id,
    pageSize: 2,
    pageToken: first.nextPageToken,
  });
  t.deepEqual(
    [...first.revisions, ...second.revisions].map(({ number }) => number),
    [3, 2, 1],
  );
  t.is(second.nextPageToken, "");
  const { revision } = await t.context.two.programs.getRevision({ programId: id, revision: 2 });
  t.like(revision, { number: 2, lm: { maxTokens: 1 } });
  for (const revision of [9, 2 ** 32 - 1])
    t.like(await failure(t, t.context.one.programs.getRevision({ programId: id, revision })), {
      code: Code.NotFound,
    });
});

test("callers get the deployed revision, even if there are newer ones, until it is undeployed", async (t) => {
  const { id } = await ready(t);
  const { programs } = t.context.one;
  t.like((await programs.deployProgram({ programId: id })).program, {
    status: ProgramStatus.DEPLOYED,
    deployedRevision: 1,
  });
  const { program } = await programs.updateProgram({
    program: { id, modules: [{ type: "ChainOfThought" }] },
  });
  t.like(program, { status: ProgramStatus.DEPLOYED, deployedRevision: 1, revision: 2 });

  t.context.model.script({ fields: { answer: "here" } });
  t.is((await t.context.two.programs.executeProgram({ programId: id, inputs })).execution?.revision, 1);
  t.is((await programs.getRevision({ programId: id })).revision?.number, 1);
  t.context.model.script({ fields: { reasoning: "so", answer: "here" } });
  t.is(
    (await t.context.two.programs.executeProgram({ programId: id, inputs, revision: 2 })).execution?.revision,
    2,
  );

  t.is((await programs.deployProgram({ programId: id, revision: 2 })).program?.deployedRevision, 2);
  const undeployed = await t.context.two.programs.undeployProgram({ programId: id });
  t.like(undeployed.program, { status: ProgramStatus.READY, deployedRevision: 0 });
});

test("refuses to deploy a draft or a deployed revision, and to undeploy twice", async (t) => {
  const { programs } = t.context.one;
  const { id } = await create(t);
  t.like(await failure(t, programs.deployProgram({ programId: id })), {
    code: Code.FailedPrecondition,
    reason: "STATUS_CONFLICT",
  });
  t.like(await failure(t, programs.undeployProgram({ programId: id })), {
    code: Code.FailedPrecondition,
    reason: "STATUS_CONFLICT",
  });
  await programs.compileProgram({ programId: id });
  await programs.deployProgram({ programId: id });
  t.like(await failure(t, programs.deployProgram({ programId: id })), {
    code: Code.FailedPrecondition,
    reason: "STATUS_CONFLICT",
  });
  t.like(await failure(t, programs.deployProgram({ programId: id, revision: 7 })), { code: Code.NotFound });
  await programs.undeployProgram({ programId: id });
  t.like(await failure(t, programs.undeployProgram({ programId: id })), { code: Code.FailedPrecondition });
});

test("of two deployments of one revision over two gateways, one wins", async (t) => {
  const { id } = await ready(t);
  const { won, codes } = await race(
    [t.context.one, t.context.two].map(({ programs }) => programs.deployProgram({ programId: id })),
  );
  t.deepEqual([won, codes], [1, [Code.FailedPrecondition]]);
  const undeployed = await race(
    [t.context.one, t.context.two].map(({ programs }) => programs.undeployProgram({ programId: id })),
  );
  t.deepEqual([undeployed.won, undeployed.codes], [1, [Code.FailedPrecondition]]);
});

test("a rollback makes a new revision with the content and status of an earlier one", async (t) => {
  const { id } = await ready(t);
  const { programs } = t.context.one;
  await programs.updateProgram({ program: { id, modules: [{ type: "ChainOfThought" }] } });
  const { program } = await programs.rollbackProgram({ programId: id, revision: 1 });
  t.like(program, { revision: 3, status: ProgramStatus.READY });
  t.is(program?.modules[0]?.type, "Predict");
  const [third, , first] = (await programs.listRevisions({ programId: id })).revisions;
  t.is(third?.origin, "rolled_back");
  t.is(third?.dspyProgramId, first?.dspyProgramId);
  t.like(await failure(t, programs.rollbackProgram({ programId: id, revision: 3 })), {
    code: Code.FailedPrecondition,
  });
  t.like(await failure(t, programs.rollbackProgram({ programId: id, revision: 4 })), { code: Code.NotFound });
  t.like(await failure(t, programs.rollbackProgram({ programId: id })), {
    code: Code.InvalidArgument,
    paths: ["revision"],
  });
});

test("a creation with a request_id and a chosen handle happens once, over two gateways", async (t) => {
  const asked = { program: { name: "Once", handle: "created-once", signature }, requestId: randomUUID() };
  const gateways = [t.context.one, t.context.two, t.context.one, t.context.two];
  const made = await Promise.all(gateways.map(({ programs }) => programs.createProgram(asked)));
  t.is(new Set(made.map(({ program }) => program?.id)).size, 1);
});

test("a rollback with a request_id happens once, over two gateways", async (t) => {
  const { id, handle } = await ready(t);
  const requestId = randomUUID();
  for (const maxTokens of [1, 2])
    await t.context.one.programs.updateProgram({ program: { id, lm: { maxTokens } } });
  const rollback = ({ programs }: Gateway) =>
    programs.rollbackProgram({ programId: id, revision: 1, requestId });
  const done = await Promise.all([t.context.one, t.context.two, t.context.one, t.context.two].map(rollback));
  t.deepEqual(
    done.map(({ program }) => program?.revision),
    [4, 4, 4, 4],
  );
  t.is((await t.context.two.programs.getProgram({ id: handle })).program?.revision, 4);
  const other = await failure(
    t,
    t.context.two.programs.rollbackProgram({ programId: id, revision: 2, requestId }),
  );
  t.like(other, { code: Code.AlreadyExists, reason: "REQUEST_ID_REUSED" });
});

test("deletes a program with executions only with force, and its executions too", async (t) => {
  t.context.model.script({ fields: { answer: "here" } });
  const { id } = await create(t);
  const { execution } = await t.context.one.programs.executeProgram({ programId: id, inputs });
  t.like(await failure(t, t.context.two.programs.deleteProgram({ id })), {
    code: Code.FailedPrecondition,
    reason: "IN_USE",
  });
  t.like(await failure(t, t.context.two.programs.deleteProgram({ id, force: true, etag: '"99"' })), {
    code: Code.Aborted,
  });
  await t.context.two.programs.deleteProgram({ id, force: true });
  t.like(await failure(t, t.context.one.programs.getProgram({ id })), { code: Code.NotFound });
  t.like(await failure(t, t.context.one.executions.getExecution({ id: execution?.id ?? "" })), {
    code: Code.NotFound,
  });
  t.like(await failure(t, t.context.one.programs.executeProgram({ programId: id, inputs })), {
    code: Code.NotFound,
  });
  t.like(await failure(t, t.context.one.programs.deleteProgram({ id })), { code: Code.NotFound });
});

test("a program that is deleted while runs start leaves no unfinished record", async (t) => {
  t.context.model.script({ fields: { answer: "here" } });
  const { id } = await ready(t);
  const runs = Array.from({ length: 10 }, (_, n) =>
    (n % 2 ? t.context.one : t.context.two).programs.executeProgram({ programId: id, inputs }),
  );
  const deleted = t.context.one.programs.deleteProgram({ id, force: true });
  const ended = await Promise.allSettled(runs);
  await deleted;
  const codes = ended
    .filter(({ status }) => status === "rejected")
    .map((end) => ((end as PromiseRejectedResult).reason as { code: Code }).code);
  t.deepEqual(
    [...new Set(codes)].filter((code) => code !== Code.NotFound),
    [],
  );
});

test("a program that DSPy can't build has status error with the reason, and an update repairs it", async (t) => {
  const { one, url } = t.context;
  const { id } = await ready(t);
  // Written by SQL, since DSPy builds every program that this gateway accepts.
  const wrong =
    "UPDATE program_revisions SET modules = replace(modules::text, 'Predict', 'Gone')::json, dspy_program_id = 'p_gone' WHERE program_id = $1";
  await runSql(url, t.context.schema, wrong, [id]);
  t.like(await failure(t, one.programs.executeProgram({ programId: id, inputs })), {
    code: Code.InvalidArgument,
    reason: "PROGRAM_INVALID",
  });
  const { program } = await one.programs.getProgram({ id });
  t.like(program, { status: ProgramStatus.ERROR, errorReason: "PROGRAM_INVALID" });
  t.regex(program?.errorMessage ?? "", /no module Gone/);
  t.like(await failure(t, one.programs.deployProgram({ programId: id })), { code: Code.FailedPrecondition });
  t.like(await failure(t, one.programs.compileProgram({ programId: id })), { reason: "PROGRAM_INVALID" });

  const mended = await one.programs.updateProgram({ program: { id, modules: [{ type: "Predict" }] } });
  t.like(mended.program, { revision: 2, status: ProgramStatus.DRAFT, errorReason: "", errorMessage: "" });
  t.is((await one.programs.compileProgram({ programId: id })).program?.status, ProgramStatus.READY);
});
