import anyTest, { type TestFn } from "ava";
import type { RequestMethod } from "../../src/domain/request.ts";
import { runSql } from "../_database.ts";
import { type Gateway, shared, startScripted } from "../_gateway.ts";

const test = anyTest as TestFn<{ gateway: Gateway; url: string }>;
const file = shared(anyTest);
const schema = "request_hashes";
test.before(async (t) => {
  const { gateway, model, env } = await startScripted(file, { SIGRUN_DATABASE_SCHEMA: schema });
  model.script({ fields: { mood: "glad" } });
  t.context = { gateway, url: env.DATABASE_URL };
});

const id = (digit: number) => `0000000${digit}-0000-4000-8000-000000000000`;
const programId = "hashed";
const labels = { team: "moods", "cost.center": "7" };
const lm = {
  model: "openai/scripted",
  temperature: 0.5,
  maxTokens: 100,
  params: { top_p: 0.5 },
  cache: false,
};
const inputs = { text: "All is glad." };
const signature = {
  name: "Mood",
  instructions: "Say the mood.",
  inputs: [
    {
      name: "text",
      description: "the text",
      constraints: { minLength: 1, maxLength: 1_000 },
      defaultValue: { kind: { case: "stringValue" as const, value: "Nothing." } },
    },
  ],
  outputs: [{ name: "mood", type: 'Literal["glad", "sad"]', description: "the mood" }],
};
const compiledState = JSON.stringify({
  traces: [],
  train: [],
  demos: [],
  signature: {
    instructions: "Say the mood.",
    fields: [
      { prefix: "Text:", description: "the text" },
      { prefix: "Mood:", description: "the mood" },
    ],
  },
  lm: null,
  metadata: { dependency_versions: { python: "3.11", dspy: "3.4.1", cloudpickle: "3.1" } },
});

/**
 * Databases hold these hashes. If one changes, a caller that repeats its request after an upgrade
 * gets REQUEST_ID_REUSED. A new field must not change them while it is not set: see
 * domain/request.ts.
 */
const hashes: Record<RequestMethod, string> = {
  "create program": "2ec45c3b7fb66b9b25c4e7b9c21df08dd6c14d8980d043e847dc279c18ac9cd0",
  import: "5c3c2f0f65bbc5970e67b803f786c7112fb28b39351c6b337c278cc039a031d1",
  rollback: "45b62e34d3210a6ac08aa8ec9f39140ffd2805bf5fa8d456be98ded40bee1283",
  execute: "f255e5ee313a5e4ac169c977a6ad9307427fd98fa77b6804220fd0d05eee9983",
  stream: "c81597b532d7435912040f175bc69b117673e1f5cec253cc16756231c989dfa2",
  batch: "d18d8994465328f2435eb4b6f9522d56b617f7395895570628cb5a40db142abe",
  create: "4eb1a8db98fff36c28406446060308894fc8a3c470f8eb84b21d0d31b47d2c0d",
  start: "e61f39935142c1b5ec0f548a3f6568ebe5c7ffdef870ba96bf6af583439d30fc",
  optimize: "614488da59885826c587f9da4f3292c164fd42f9325ba0bd9ac2901de8eef5b0",
};

test("the hash of every kind of request is the one that databases hold", async (t) => {
  const { gateway, url } = t.context;
  const { programs, executions } = gateway;
  await programs.createProgram({
    program: {
      name: "Moods",
      description: "Says the mood of a text.",
      handle: programId,
      labels,
      signature,
      lm,
      modules: [
        { name: "think", type: "ChainOfThought", signature: { text: "text -> hint" }, lm },
        {
          name: "answer",
          type: "BestOfN",
          params: { N: 2 },
          inputFrom: { text: "text" },
          modules: [{ name: "inner", type: "Predict" }],
        },
      ],
    },
    requestId: id(1),
  });
  await programs.updateProgram({ program: { id: programId, modules: [{ type: "Predict" }] } });
  await programs.importProgramState({ programId, compiledState, requestId: id(2) });
  await programs.rollbackProgram({ programId, revision: 2, requestId: id(3) });

  const run = { programId, revision: 4, inputs, labels, lm };
  await programs.executeProgram({ ...run, requestId: id(4) });
  for await (const _ of programs.streamProgram({ ...run, requestId: id(5) }));
  const items = [{ inputs, labels: { item: "1" }, requestId: id(6) }];
  for await (const _ of programs.batchExecuteProgram({ programId, revision: 4, items, labels, lm }));
  await executions.createExecution({ programId, inputs, labels, requestId: id(7) });
  await executions.startExecution({ programId, inputs, labels, requestId: id(8) });
  await programs.optimizeProgram({
    programId,
    baseRevision: 4,
    dataset: [{ inputs, outputs: { mood: "glad" } }],
    valset: [{ inputs, outputs: { mood: "sad" } }],
    optimizer: "LabeledFewShot",
    metrics: [{ name: "judge", field: "mood", params: { rubric: "Is it right?" }, weight: 2 }],
    config: { k: 1 },
    seed: 7n,
    budget: { lmCalls: 10n, tokens: 10_000n },
    keepWorse: true,
    lms: { judge: lm },
    labels,
    requestId: id(9),
  });

  const rows = await runSql(
    url,
    schema,
    `SELECT 'create program' AS kind, request_hash FROM programs
     UNION ALL SELECT request_method, request_hash FROM program_revisions WHERE request_hash IS NOT NULL
     UNION ALL SELECT request_method, request_hash FROM executions WHERE request_hash IS NOT NULL
     UNION ALL SELECT 'optimize', request_hash FROM optimizations`,
  );
  t.deepEqual(Object.fromEntries(rows.map(({ kind, request_hash: hash }) => [kind, hash])), hashes);
});
