import anyTest, { type TestFn } from "ava";
import { shared, startTwo, type TwoGateways } from "../../_gateway.ts";

const test = anyTest as TestFn<TwoGateways>;
const file = shared(test);
test.before(async (t) => {
  t.context = await startTwo(file);
});

const nameOf = (name: string) => ({ key: { case: "name", value: name } }) as const;
const idOf = (id: string | undefined) => ({ key: { case: "id", value: id ?? "" } }) as const;

test("the same name with other instructions, fields or types makes another version", async (t) => {
  const { signatures } = t.context.one;
  const name = "Versioned";
  const contents = [
    { instructions: "A", text: "question -> answer" },
    { instructions: "B", text: "question -> answer" },
    { instructions: "B", text: "question, context -> answer" },
    { instructions: "B", text: "question, context -> answer: int" },
  ];
  const made = [];
  for (const content of contents)
    made.push((await signatures.createSignature({ signature: { name, ...content } })).signature);
  t.deepEqual(
    made.map((one) => one?.version),
    [1, 2, 3, 4],
  );
  t.is(new Set(made.map((one) => one?.id)).size, 4);

  const again = await signatures.createSignature({ signature: { name, ...contents[1] } });
  t.deepEqual(again.signature, made[1]);
  const sentBack = await t.context.two.signatures.createSignature({ signature: made[2] as object });
  t.deepEqual(sentBack.signature, made[2]);
  const checked = await signatures.createSignature({
    signature: { name, text: "a -> b" },
    validateOnly: true,
  });
  t.is(checked.signature?.version, 0);
  t.deepEqual((await signatures.getSignature(nameOf(name))).signature, made[3]);
});

test("a name gives the newest version, and an id the very one, to read and to validate by", async (t) => {
  const { signatures } = t.context.two;
  const old = await signatures.createSignature({ signature: { name: "Newest", text: "a -> b" } });
  const newest = await signatures.createSignature({
    signature: { name: "Newest", text: "a: int -> b: int" },
  });
  const [byName, byId] = [nameOf("Newest"), idOf(old.signature?.id)];
  t.deepEqual((await signatures.getSignature(byName)).signature, newest.signature);
  t.deepEqual((await signatures.getSignature(byId)).signature, old.signature);
  t.deepEqual((await signatures.validateInputs({ ...byName, values: { a: "7" } })).values, { a: 7 });
  t.deepEqual((await signatures.validateInputs({ ...byId, values: { a: "7" } })).values, { a: "7" });
  t.deepEqual((await signatures.validateOutputs({ ...byName, values: { b: "7" } })).values, { b: 7 });
  t.deepEqual((await signatures.validateOutputs({ ...byId, values: { b: "7" } })).values, { b: "7" });

  await signatures.deleteSignature({ id: newest.signature?.id ?? "" });
  t.deepEqual((await signatures.getSignature(byName)).signature, old.signature);
});

test("programs are created, updated and rolled back with versions of a signature", async (t) => {
  const { programs } = t.context.one;
  const signature = (instructions: string) => ({ name: "Uniq1", instructions, text: "question -> answer" });
  const created = await programs.createProgram({ program: { name: "repro", signature: signature("A") } });
  const { id = "", signatureId } = created.program ?? {};
  t.is(created.program?.signature?.version, 1);
  const updated = await programs.updateProgram({ program: { id, signature: signature("B") } });
  t.like(updated.program, { revision: 2, signature: { name: "Uniq1", instructions: "B", version: 2 } });
  const byId = await programs.updateProgram({ program: { id, signatureId: signatureId ?? "" } });
  t.like(byId.program, { revision: 3, signatureId, signature: { id: signatureId, version: 1 } });
  const back = await programs.rollbackProgram({ programId: id, revision: 2 });
  t.like(back.program, { revision: 4, signature: { version: 2 } });
  const other = await programs.createProgram({ program: { name: "other", signature: signature("B") } });
  t.is(other.program?.signatureId, updated.program?.signatureId);

  const { revisions } = await programs.listRevisions({ programId: id, orderBy: "number" });
  t.deepEqual(
    revisions.map((revision) => revision.signature?.version),
    [1, 2, 1, 2],
  );
  const preview = await programs.updateProgram({
    program: { id, signature: signature("C") },
    validateOnly: true,
  });
  t.is(preview.program?.signature?.version, 0);
});

test("versions are listed and found by their number", async (t) => {
  const { signatures } = t.context.one;
  for (const instructions of ["A", "B", "C"])
    await signatures.createSignature({ signature: { name: "Listed", instructions, text: "a -> b" } });
  const found = async (filter: string, orderBy: string, distinctOn: string[] = []) =>
    (await signatures.listSignatures({ filter, orderBy, distinctOn })).signatures.map((one) => one.version);
  t.deepEqual(await found("name = Listed", "version"), [1, 2, 3]);
  t.deepEqual(await found("name = Listed AND version > 1", "version desc"), [3, 2]);
  t.deepEqual(await found("name = Listed", "version desc", ["name"]), [3]);
});

test("creates at once on two gateways make one version each, without a gap or a duplicate", async (t) => {
  const { one, two } = t.context;
  const contents = Array.from({ length: 12 }, (_, n) => ({
    name: "AtOnce",
    instructions: `Content ${n}.`,
    text: "question -> answer",
  }));
  const bySignature = contents.flatMap((signature) =>
    [one, two].map(async ({ signatures }) => (await signatures.createSignature({ signature })).signature),
  );
  const byProgram = contents.flatMap((signature, n) =>
    [two, one].map(async ({ programs }) => {
      const { program } = await programs.createProgram({ program: { name: `at once ${n}`, signature } });
      return program?.signature;
    }),
  );
  const made = await Promise.all([...bySignature, ...byProgram]);
  const versions = new Map(made.map((signature) => [signature?.instructions, signature?.version]));
  t.deepEqual(
    [...versions.values()].sort((a = 0, b = 0) => a - b),
    contents.map((_, n) => n + 1),
  );
  for (const signature of made) t.is(signature?.version, versions.get(signature?.instructions));
});
