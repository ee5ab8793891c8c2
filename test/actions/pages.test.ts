import { toBinary } from "@bufbuild/protobuf";
import anyTest, { type TestFn } from "ava";
import { ExecutionView } from "../../src/gen/sigrun/v1/execution_service_pb.ts";
import {
  ListProgramsResponseSchema,
  ListRevisionsResponseSchema,
} from "../../src/gen/sigrun/v1/program_service_pb.ts";
import { ListSignaturesResponseSchema } from "../../src/gen/sigrun/v1/signature_service_pb.ts";
import { failure } from "../_errors.ts";
import { type Gateway, shared, startGateway, startScripted } from "../_gateway.ts";
import { createProgram, record } from "../_recorded.ts";

type Context = { gateway: Gateway; env: Record<string, string> };
const test = anyTest as TestFn<Context>;
const file = shared(anyTest);
const schema = { SIGRUN_DATABASE_SCHEMA: "paged" };

test.before(async (t) => {
  const { gateway, env } = await startScripted(file, schema);
  t.context = { gateway, env: { ...env, ...schema } };
});

/** Reads all pages. */
async function readAll<Row>(
  read: (pageToken: string) => Promise<{ rows: readonly Row[]; nextPageToken: string }>,
): Promise<Row[][]> {
  const pages: Row[][] = [];
  let pageToken = "";
  do {
    const { rows, nextPageToken } = await read(pageToken);
    pages.push([...rows]);
    pageToken = nextPageToken;
  } while (pageToken !== "");
  return pages;
}

test("a page token fits only its own query", async (t) => {
  const { gateway } = t.context;
  const { executions } = gateway;
  const programId = await createProgram(gateway, "Tokens");
  for (let left = 3; left > 0; left--)
    await record(gateway, programId, { inputs: { question: "?" }, labels: { team: "ads" } });
  const query = { filter: "program_id = tokens AND labels:*", orderBy: "duration_ms, id", pageSize: 1 };
  const { nextPageToken: pageToken } = await executions.listExecutions(query);
  t.is((await executions.listExecutions({ ...query, pageSize: 7, pageToken })).executions.length, 2);
  for (const other of [
    { filter: "" },
    { orderBy: "duration_ms desc, id" },
    { distinctOn: ["status"] },
    { pageToken: `${pageToken}x` },
  ])
    t.like(await failure(t, executions.listExecutions({ ...query, pageToken, ...other })), {
      reason: "PAGE_TOKEN_INVALID",
      paths: ["page_token"],
    });
  const forged = JSON.parse(Buffer.from(pageToken, "base64url").toString()) as string[];
  const token = Buffer.from(JSON.stringify([forged[0], "x'; --", "no uuid"])).toString("base64url");
  t.like(await failure(t, executions.listExecutions({ ...query, pageToken: token })), {
    reason: "PAGE_TOKEN_INVALID",
  });
});

test("a page token is valid after a restart and on another gateway", async (t) => {
  const { gateway, env } = t.context;
  const programId = await createProgram(gateway, "Restarted");
  const ids: string[] = [];
  for (let left = 4; left > 0; left--)
    ids.unshift(await record(gateway, programId, { inputs: { question: "?" } }));
  const query = { filter: "program_id = restarted AND status = RUNNING", pageSize: 2 };
  const first = await startGateway(t, env);
  const { executions, nextPageToken: pageToken } = await first.executions.listExecutions(query);
  await first.stop();
  const second = await startGateway(t, env);
  for (const { executions: service } of [second, gateway]) {
    const { executions: rest } = await service.listExecutions({ ...query, pageToken });
    t.deepEqual(
      [...executions, ...rest].map(({ id }) => id),
      ids,
    );
  }
});

test("no row is repeated or left out while rows are added and many callers read", async (t) => {
  const { gateway } = t.context;
  const programId = await createProgram(gateway, "Paged");
  const ids: string[] = [];
  for (let left = 60; left > 0; left--)
    ids.push(await record(gateway, programId, { inputs: { question: "before" } }));
  let isPaging = true;
  const adding = (async () => {
    while (isPaging) await record(gateway, programId, { inputs: { question: "meanwhile" } });
  })();
  async function read(orderBy: string): Promise<void> {
    const seen: string[] = [];
    let pageToken = "";
    do {
      const page = await gateway.executions.listExecutions({
        filter: `program_id = paged`,
        orderBy,
        pageSize: 5,
        pageToken,
      });
      seen.push(...page.executions.map(({ id }) => id));
      pageToken = page.nextPageToken;
      // Oldest first, reading would never end while rows are added.
    } while (pageToken !== "" && !(orderBy === "created_at" && seen.length > 100));
    t.is(new Set(seen).size, seen.length, orderBy);
    t.deepEqual(
      ids.filter((id) => !seen.includes(id)),
      [],
      orderBy,
    );
  }
  await Promise.all(["", "created_at", "created_at desc, status", "status, created_at desc"].map(read));
  isPaging = false;
  await adding;
});

test("a page ends before it exceeds the message limit of clients", async (t) => {
  const { gateway } = t.context;
  const programId = await createProgram(gateway, "Large");
  for (let left = 12; left > 0; left--)
    await record(gateway, programId, { inputs: { question: "x".repeat(700_000) } });
  const sizes: number[] = [];
  let pageToken = "";
  do {
    const page = await gateway.executions.listExecutions({
      filter: "program_id = large",
      view: ExecutionView.FULL,
      pageToken,
    });
    sizes.push(page.executions.length);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  t.deepEqual(sizes, [4, 4, 4]);
});

test("a page is followed by the next one even if its values are longer in the database than in a message", async (t) => {
  const { gateway } = t.context;
  const programId = await createProgram(gateway, "Escaped");
  const ids: string[] = [];
  for (let left = 8; left > 0; left--)
    ids.unshift(await record(gateway, programId, { inputs: { question: "\n".repeat(700_000) } }));
  const pages = await readAll(async (pageToken) => {
    const asked = { filter: "program_id = escaped", view: ExecutionView.FULL, pageToken };
    const { executions, nextPageToken } = await gateway.executions.listExecutions(asked);
    return { rows: executions.map(({ id }) => id), nextPageToken };
  });
  t.deepEqual(pages.flat(), ids);
});

const mostBytes = 3 * 2 ** 20;

test("pages of signatures, programs and revisions fit the message limit of gRPC clients", async (t) => {
  t.timeout(120_000);
  const { programs, signatures } = t.context.gateway;
  // A message has each type twice: in the fields and in the text of the signature.
  const signature = (name: string) => ({
    name,
    inputs: [{ name: "question", type: "str" }],
    outputs: Array.from({ length: 90 }, (_, place) => ({
      name: `f${place}`,
      type: `Literal["${name}${"x".repeat(1_900)}"]`,
    })),
  });
  const program = (name: string) => ({ name, labels: { kind: "wide" }, signature: signature(`Wide${name}`) });
  const handles = [
    "W0",
    "W1",
    "W2",
    "W3",
    "W4",
    "W5",
    "W6",
    "W7",
    "W8",
    "W9",
    "W10",
    "W11",
    "W12",
    "W13",
    "W14",
    "W15",
    "W16",
    "W17",
  ];
  for (const name of handles) await programs.createProgram({ program: program(name) });
  for (const name of handles)
    await programs.updateProgram({ program: { id: "w0", signature: signature(`Again${name}`) } });

  const numbers = await readAll(async (pageToken) => {
    const page = await programs.listRevisions({ programId: "w0", orderBy: "number", pageToken });
    t.true(toBinary(ListRevisionsResponseSchema, page).length < mostBytes);
    return { rows: page.revisions.map(({ number }) => number), nextPageToken: page.nextPageToken };
  });
  t.deepEqual(numbers.flat(), [1, ...handles.map((_, place) => place + 2)]);
  t.true(numbers.length > 1);

  const names = await readAll(async (pageToken) => {
    const page = await signatures.listSignatures({ filter: "name : Wide", orderBy: "created_at", pageToken });
    t.true(toBinary(ListSignaturesResponseSchema, page).length < mostBytes);
    return { rows: page.signatures.map(({ name }) => name), nextPageToken: page.nextPageToken };
  });
  t.deepEqual(
    names.flat(),
    handles.map((name) => `Wide${name}`),
  );
  t.true(names.length > 1);

  const found = await readAll(async (pageToken) => {
    const page = await programs.listPrograms({
      filter: "labels.kind = wide",
      orderBy: "created_at",
      pageToken,
    });
    t.true(toBinary(ListProgramsResponseSchema, page).length < mostBytes);
    return { rows: page.programs.map(({ name }) => name), nextPageToken: page.nextPageToken };
  });
  t.deepEqual(found.flat(), handles);
});
