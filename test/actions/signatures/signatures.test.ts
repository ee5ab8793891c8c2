import { Code } from "@connectrpc/connect";
import anyTest, { type TestFn } from "ava";
import { failure } from "../../_errors.ts";
import { shared, startTwo, type TwoGateways } from "../../_gateway.ts";

const test = anyTest as TestFn<TwoGateways>;
const file = shared(test);
test.before(async (t) => {
  t.context = await startTwo(file);
});

test("a signature is created once, and returned again if it is the same, over two gateways at once", async (t) => {
  const signature = { name: "Twice", text: "question -> answer" };
  const gateways = [t.context.one, t.context.two, t.context.one, t.context.two];
  const made = await Promise.all(gateways.map(({ signatures }) => signatures.createSignature({ signature })));
  t.is(new Set(made.map((response) => response.signature?.id)).size, 1);
  t.is(made[0]?.signature?.version, 1);
});

test("a signature that is read and sent back is the same signature", async (t) => {
  const signature = {
    instructions: "Be brief.",
    inputs: [
      {
        name: "question",
        type: "str",
        description: "What is asked",
        constraints: { minLength: 1, pattern: "[^<>]*" },
      },
      {
        name: "count",
        type: "integer",
        constraints: { min: 1, max: 9, other: { multiple_of: 1 } },
        defaultValue: { kind: { case: "numberValue", value: 3 } as const },
      },
    ],
    outputs: [
      { name: "scores", type: "Dict[str, List[float]]" },
      { name: "mood", type: "Literal['good', 'bad'] | None" },
    ],
  };
  const { signatures } = t.context.one;
  const first = (await signatures.createSignature({ signature })).signature;
  t.is(
    first?.text,
    'question, count: int -> scores: dict[str, list[float]], mood: Optional[Literal["good", "bad"]]',
  );
  t.regex(first?.name ?? "", /^QuestionCountToScoresMood_[0-9a-f]{6}$/);
  t.deepEqual((await signatures.createSignature({ signature: first as object })).signature, first);
  t.deepEqual(
    (await t.context.two.signatures.getSignature({ key: { case: "name", value: first?.name ?? "" } }))
      .signature,
    first,
  );
});

test("an input that is left out gets its default", async (t) => {
  const defaultValue = { kind: { case: "numberValue", value: 3 } as const };
  const signature = { inputs: [{ name: "count", type: "int", defaultValue }], outputs: [{ name: "answer" }] };
  const made = await t.context.one.signatures.createSignature({ signature });
  const key = { case: "id", value: made.signature?.id ?? "" } as const;
  t.deepEqual((await t.context.one.signatures.validateInputs({ key, values: {} })).values, { count: 3 });
  const outputs = await t.context.one.signatures.validateOutputs({ key, values: { answer: null } });
  t.deepEqual(
    outputs.violations.map(({ field, reason }) => `${field} ${reason}`),
    ["answer type"],
  );
});

test("signatures are listed newest first, in pages", async (t) => {
  const { signatures } = t.context.one;
  for (const name of ["Paged1", "Paged2", "Paged3"])
    await signatures.createSignature({ signature: { name, text: `${name} -> answer` } });
  const names: string[] = [];
  let pageToken = "";
  do {
    const page = await signatures.listSignatures({ pageSize: 2, pageToken });
    names.push(...page.signatures.map(({ name }) => name));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  t.deepEqual(
    names.filter((name) => name.startsWith("Paged")),
    ["Paged3", "Paged2", "Paged1"],
  );
});

test("a signature can be deleted unless a revision of a program uses it", async (t) => {
  const { signatures, programs } = t.context.one;
  const { signature } = await signatures.createSignature({
    signature: { name: "Deleted", text: "question -> answer" },
  });
  const id = signature?.id ?? "";
  const { program } = await programs.createProgram({ program: { name: "Its user", signatureId: id } });
  t.like(await failure(t, signatures.deleteSignature({ id })), {
    code: Code.FailedPrecondition,
    reason: "IN_USE",
  });
  await programs.deleteProgram({ id: program?.id ?? "" });
  await signatures.deleteSignature({ id });
  t.like(await failure(t, signatures.getSignature({ key: { case: "id", value: id } })), {
    code: Code.NotFound,
  });
  t.like(await failure(t, signatures.deleteSignature({ id })), { code: Code.NotFound });
  t.like(await failure(t, signatures.deleteSignature({ id: "x" })), {
    code: Code.InvalidArgument,
    paths: ["id"],
  });
});

test("creating programs succeeds while their signature is deleted again and again", async (t) => {
  const signature = { name: "Contended", text: "question -> answer" };
  const made = Array.from({ length: 8 }, (_, n) =>
    t.context.one.programs.createProgram({ program: { name: `Contender ${n}`, signature } }),
  );
  const { signatures } = t.context.two;
  for (let n = 0; n < 8; n++) {
    const found = await signatures
      .getSignature({ key: { case: "name", value: "Contended" } })
      .catch(() => undefined);
    if (found) await signatures.deleteSignature({ id: found.signature?.id ?? "" }).catch(() => undefined);
  }
  t.is(new Set((await Promise.all(made)).map(({ program }) => program?.signatureId)).size >= 1, true);
});

test("refuses a field named config, which DSPy would take as arguments of the model", async (t) => {
  const { one, model } = t.context;
  for (const name of ["config", "lm", "demos", "signature", "new_signature", "prediction"])
    t.like(await failure(t, one.signatures.createSignature({ signature: { text: `${name} -> answer` } })), {
      paths: ["signature.text"],
    });

  model.script({ fields: { answer: "here" } });
  const signature = { text: "question, settings: dict[str, str] -> answer" };
  const { program } = await one.programs.createProgram({ program: { name: "Configured", signature } });
  const programId = program?.id ?? "";
  const config = { api_base: "http://127.0.0.1:9/v1", api_key: "stolen", temperature: 2 };
  t.like(
    await failure(
      t,
      one.programs.executeProgram({ programId, inputs: { question: "x", settings: {}, config } }),
    ),
    {
      paths: ["inputs.config"],
    },
  );
  const before = model.requests.length;
  await one.programs.executeProgram({
    programId,
    inputs: { question: "x", settings: { api_base: config.api_base, model: "openai/other" } },
  });
  const sent = model.requests.at(-1) ?? { messages: [] };
  t.is(model.requests.length, before + 1);
  t.is(sent.model, "scripted");
  t.deepEqual(
    Object.keys(sent)
      .filter((key) => !["messages", "model"].includes(key))
      .filter((key) => key in config),
    [],
  );
});

test("the schema cache counts its hits and misses, and can be cleared", async (t) => {
  const { admin, signatures } = t.context.one;
  const { signature } = await signatures.createSignature({ signature: { text: "cached -> answer" } });
  const key = { case: "id", value: signature?.id ?? "" } as const;
  const before = await admin.getSchemaCache({});
  for (let n = 0; n < 3; n++) await signatures.validateInputs({ key, values: { cached: "x" } });
  const after = await admin.getSchemaCache({});
  t.true(after.hits - before.hits >= 2n);
  t.true(after.misses > before.misses);
  t.true(after.entries >= 1n);
  t.true((await admin.clearSchemaCache({})).cleared >= 1n);
});

test("server info has versions and settings, without secrets", async (t) => {
  const info = await t.context.one.admin.getServerInfo({});
  t.like(info, { version: "0.1.0", dspyVersion: "3.4.1", defaultModel: "openai/scripted" });
  t.true(info.sidecarWorkers >= 1);
  t.is(info.settings?.DATABASE_URL, "set");
  t.false(JSON.stringify(info.settings).includes("postgres://"));
});

test("lists the programs that the sidecar holds by their content hash", async (t) => {
  const { program } = await t.context.one.programs.createProgram({
    program: { name: "Held", signature: { name: "HeldOne", text: "question -> answer" } },
  });
  await t.context.one.programs.compileProgram({ programId: program?.id ?? "" });
  const { programs } = await t.context.one.admin.listLoadedPrograms({});
  t.like(
    programs.find(({ id }) => id === program?.dspyProgramId),
    { type: "Predict", signature: "HeldOne" },
  );
});

test("the catalogue lists the modules, and why some are refused", async (t) => {
  const { modules } = await t.context.one.catalogue.listModules({});
  t.is(modules.find(({ name }) => name === "Predict")?.refused, "");
  t.regex(modules.find(({ name }) => name === "ProgramOfThought")?.refused ?? "", /runs code/);
});

test("the catalogue says which modules DSPy is going to remove, and what takes their place", async (t) => {
  const { modules } = await t.context.one.catalogue.listModules({});
  const deprecated = modules.filter((entry) => entry.deprecated !== "");
  t.deepEqual(
    deprecated.map(({ name }) => name),
    ["ProgramOfThought", "CodeAct"],
  );
  for (const entry of deprecated) t.regex(entry.deprecated, /DSPy 3\.5 .* RLM/);
});
