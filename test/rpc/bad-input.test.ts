import { randomUUID } from "node:crypto";
import { Code } from "@connectrpc/connect";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { runSql } from "../_database.ts";
import { failure } from "../_errors.ts";
import { type Gateway, shared, startScripted } from "../_gateway.ts";
import type { ScriptedModel } from "../_model.ts";

const test = anyTest.serial as TestFn<{
  gateway: Gateway;
  model: ScriptedModel;
  url: string;
  programId: string;
}>;
const file = shared(anyTest);
const schema = "bad_input";
test.before(async (t) => {
  const { gateway, model, env } = await startScripted(file, { SIGRUN_DATABASE_SCHEMA: schema });
  const { program } = await gateway.programs.createProgram({
    program: { name: "Target", signature: { text: "question, more: dict[str, str] -> answer" } },
  });
  t.context = { gateway, model, url: env.DATABASE_URL, programId: program?.id ?? "" };
});
type T = ExecutionContext<{ gateway: Gateway; model: ScriptedModel; url: string; programId: string }>;

const tables = ["signatures", "programs", "program_revisions", "executions"];
async function rows({ context }: T): Promise<unknown> {
  return runSql(
    context.url,
    schema,
    tables.map((table) => `SELECT '${table}' AS name, count(*) FROM ${table}`).join(" UNION ALL "),
  );
}

/** Posts a JSON text unchanged, and gives the code, the reason and the paths. */
async function post({ context }: T, method: string, body: string) {
  const response = await fetch(`${context.gateway.url}/sigrun.v1.${method}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  const {
    code = "ok",
    message = "",
    details = [],
  } = (await response.json()) as {
    code?: string;
    message?: string;
    details?: { type: string; debug?: Record<string, never> }[];
  };
  const of = (type: string) =>
    details.find((detail) => detail.type === `google.rpc.${type}`)?.debug as
      | { reason?: string; fieldViolations?: { field: string }[] }
      | undefined;
  return {
    code,
    message,
    reason: of("ErrorInfo")?.reason,
    paths: (of("BadRequest")?.fieldViolations ?? []).map(({ field }) => field),
  };
}

const deep = (levels: number) => `${'{"k":'.repeat(levels)}1${"}".repeat(levels)}`;
const execute = (inputs: string) =>
  ["ProgramService/ExecuteProgram", `{"program_id":"target","inputs":${inputs}}`] as const;

const bad: [what: string, request: readonly [method: string, body: string], code: string, paths: string[]][] =
  [
    [
      "nesting of 33 levels",
      execute(`{"question":"x","more":${deep(32)}}`),
      "invalid_argument",
      [`inputs.more${".k".repeat(31)}`, "inputs.more.k"],
    ],
    ["nesting of 5,000 levels", execute(deep(5_000)), "invalid_argument", ["request"]],
    ["a NUL", execute('{"question":"a\\u0000b","more":{}}'), "invalid_argument", ["inputs.question"]],
    [
      "a NUL in a key",
      execute('{"question":"x","more":{"a\\u0000":"b"}}'),
      "invalid_argument",
      ['inputs.more["a\\u0000"]'],
    ],
    [
      "a lone surrogate",
      execute('{"question":"\\ud800","more":{}}'),
      "invalid_argument",
      ["inputs.question"],
    ],
    [
      "__proto__",
      execute('{"question":"x","more":{},"__proto__":{"polluted":"yes"}}'),
      "invalid_argument",
      ["inputs.__proto__"],
    ],
    ["NaN as a number", execute('{"question":NaN,"more":{}}'), "invalid_argument", ["request"]],
    [
      "a number above the range of numbers",
      execute('{"question":1e999,"more":{}}'),
      "invalid_argument",
      ["inputs.question"],
    ],
    ["a wrong type", execute('"x"'), "invalid_argument", ["request"]],
    [
      "an unknown field",
      ["ProgramService/ExecuteProgram", '{"program_id":"target","inputz":{}}'],
      "invalid_argument",
      ["request"],
    ],
    ["a body that is not JSON", ["ProgramService/ExecuteProgram", "{"], "invalid_argument", ["request"]],
    [
      "an unknown program",
      ["ProgramService/ExecuteProgram", `{"program_id":"${randomUUID()}"}`],
      "not_found",
      [],
    ],
    ["a missing program_id", ["ProgramService/ExecuteProgram", "{}"], "invalid_argument", ["program_id"]],
    ["an unknown execution", ["ExecutionService/GetExecution", `{"id":"${randomUUID()}"}`], "not_found", []],
    ["an unknown signature", ["SignatureService/GetSignature", `{"id":"${randomUUID()}"}`], "not_found", []],
    [
      "an id that is not a UUID",
      ["ExecutionService/GetExecution", '{"id":"1 OR 1=1"}'],
      "invalid_argument",
      ["id"],
    ],
    [
      "a name with NUL",
      ["ProgramService/CreateProgram", '{"program":{"name":"a\\u0000","signature":{"text":"a -> b"}}}'],
      "invalid_argument",
      ["program.name"],
    ],
    [
      "instructions with a lone surrogate",
      ["SignatureService/CreateSignature", '{"signature":{"text":"a -> b","instructions":"\\udc00"}}'],
      "invalid_argument",
      ["request"],
    ],
    [
      "a pattern that would backtrack",
      [
        "SignatureService/CreateSignature",
        '{"signature":{"inputs":[{"name":"a","constraints":{"pattern":"(?<=a)b"}}],"outputs":[{"name":"b"}]}}',
      ],
      "invalid_argument",
      ["signature.inputs[0].constraints.pattern"],
    ],
    [
      "a label of __proto__",
      [
        "ProgramService/ExecuteProgram",
        '{"program_id":"target","inputs":{"question":"x","more":{}},"labels":{"__proto__":"x"}}',
      ],
      "invalid_argument",
      ['labels["__proto__"]'],
    ],
    [
      "a negative page",
      ["ProgramService/ListPrograms", '{"page_size":-1}'],
      "invalid_argument",
      ["page_size"],
    ],
    [
      "an invalid page token",
      ["ProgramService/ListPrograms", '{"page_token":"x"}'],
      "invalid_argument",
      ["page_token"],
    ],
  ];
for (const [what, [method, body], code, paths] of bad)
  test(`${what} is ${code}, and stores nothing`, async (t) => {
    const before = await rows(t);
    const answer = await post(t, method, body);
    t.is(answer.code, code);
    t.truthy(answer.reason);
    t.true(paths.length === 0 || answer.paths.some((path) => paths.includes(path)), JSON.stringify(answer));
    t.deepEqual(await rows(t), before);
    t.is(t.context.model.requests.length, 0);
  });

test("refuses NaN and Infinity, which protobuf's JSON allows, in numeric settings", async (t) => {
  const { programs } = t.context.gateway;
  const { programId } = t.context;
  for (const temperature of [Number.NaN, Number.POSITIVE_INFINITY, -1])
    t.like(await failure(t, programs.executeProgram({ programId, inputs: {}, lm: { temperature } })), {
      code: Code.InvalidArgument,
      paths: ["lm.temperature"],
    });
});

test("refuses a million keys as too large, and lists at most 100 violations of fewer keys", async (t) => {
  const keys = (count: number) => `{${Array.from({ length: count }, (_, n) => `"k${n}":0`).join(",")}}`;
  t.is((await post(t, ...execute(keys(1_000_000)))).code, "resource_exhausted");
  const tooMany = await post(t, ...execute(keys(250_000)));
  t.like(tooMany, { code: "invalid_argument", paths: ["inputs"] });
  t.regex(tooMany.message, /^inputs: must have at most 5000 members in one object/);
  const many = await post(t, ...execute(keys(5_000)));
  t.is(many.code, "invalid_argument");
  t.true(many.paths.length <= 100);
  t.regex(many.message, /^inputs\.k0: unknown field/);
});

test("no prototype was polluted, and the process still runs", async (t) => {
  t.context.model.script({ fields: { answer: "here" } });
  const inputs = JSON.parse('{"question": "x", "more": {"__proto__": "kept", "constructor": "too"}}');
  const { execution } = await t.context.gateway.programs.executeProgram({
    programId: t.context.programId,
    inputs,
  });
  const { execution: record } = await t.context.gateway.executions.getExecution({ id: execution?.id ?? "" });
  t.deepEqual(Object.entries(record?.inputs?.more ?? {}).sort(), [
    ["__proto__", "kept"],
    ["constructor", "too"],
  ]);
  t.is(t.context.gateway.process.exitCode, null);
});
