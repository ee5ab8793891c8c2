import { Code } from "@connectrpc/connect";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { ProgramStatus } from "../../../src/gen/sigrun/v1/program_service_pb.ts";
import { failure } from "../../_errors.ts";
import { shared, startTwo, type TwoGateways } from "../../_gateway.ts";

// A gateway runs a program from its cache, unless the other gateway has changed the program since.
const test = anyTest as TestFn<TwoGateways>;
const file = shared(test);
test.before(async (t) => {
  t.context = await startTwo(file);
  t.context.model.script({ fields: { answer: "here", place: "there" } });
});
type T = ExecutionContext<TwoGateways>;

const inputs = { question: "Where?" };

/** A program that the first gateway has run, and so has in its cache. */
async function known({ context: { one } }: T) {
  const { program } = await one.programs.createProgram({
    program: { name: "Known", signature: { text: "question -> answer" } },
  });
  const { id = "", handle = "" } = program ?? {};
  await one.programs.executeProgram({ programId: id, inputs });
  await one.programs.executeProgram({ programId: handle, inputs });
  return { id, handle };
}

const revisionOf = async ({ context: { one } }: T, programId: string) =>
  (await one.programs.executeProgram({ programId, inputs })).execution?.revision;

test("the next call runs what another gateway has deployed or undeployed, by id and by handle", async (t) => {
  const { id, handle } = await known(t);
  const { two } = t.context;
  const both = async () => [await revisionOf(t, id), await revisionOf(t, handle)];
  await two.programs.deployProgram({ programId: id });
  await two.programs.updateProgram({ program: { id, lm: { maxTokens: 50 } } });
  t.deepEqual(await both(), [1, 1]);
  await two.programs.undeployProgram({ programId: id });
  t.deepEqual(await both(), [2, 2]);
  t.is(
    (await t.context.one.programs.executeProgram({ programId: id, revision: 1, inputs })).execution?.revision,
    1,
  );
});

test("inputs are checked by the signature that another gateway has set", async (t) => {
  const { id } = await known(t);
  const { one, two } = t.context;
  await two.programs.updateProgram({ program: { id, signature: { text: "city -> place" } } });
  const { outputs } = await one.programs.executeProgram({ programId: id, inputs: { city: "Paris" } });
  t.deepEqual(outputs, { place: "there" });
  const fault = await failure(t, one.programs.executeProgram({ programId: id, inputs }));
  t.is(fault.reason, "INPUT_INVALID");
});

test("a program that another gateway has deleted is not found, and a new program with its handle is", async (t) => {
  const { id, handle } = await known(t);
  const { one, two } = t.context;
  await two.programs.deleteProgram({ id, force: true });
  t.is((await failure(t, one.programs.executeProgram({ programId: id, inputs }))).code, Code.NotFound);
  t.is((await failure(t, one.programs.executeProgram({ programId: handle, inputs }))).code, Code.NotFound);
  const again = await two.programs.createProgram({
    program: { name: "Again", handle, signature: { text: "question -> place" } },
  });
  const { execution, outputs } = await one.programs.executeProgram({ programId: handle, inputs });
  t.is(execution?.programId, again.program?.id);
  t.deepEqual(outputs, { place: "there" });
});

test("the first run makes a draft ready, even if gateways have it as a draft in their caches", async (t) => {
  const { one, two } = t.context;
  const { program } = await one.programs.createProgram({
    program: { name: "Draft", signature: { text: "question -> answer" } },
  });
  const id = program?.id ?? "";
  for (const gateway of [one, two, one, two])
    await gateway.programs.executeProgram({ programId: id, inputs });
  t.is((await two.programs.getProgram({ id })).program?.status, ProgramStatus.READY);
});
