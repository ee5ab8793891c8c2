import anyTest, { type TestFn } from "ava";
import { failure } from "../../_errors.ts";
import { type Gateway, shared, startScripted } from "../../_gateway.ts";
import type { ScriptedModel } from "../../_model.ts";

type Context = { gateway: Gateway; model: ScriptedModel };
const test = anyTest.serial as TestFn<Context>;
const file = shared(anyTest);
const inputs = [{ name: "question" }];
const outputs = [{ name: "answer", constraints: { pattern: "\\S+" } }];
const params = { N: 2 };

test.before(async (t) => {
  t.context = await startScripted(file);
});

for (const type of ["BestOfN", "Refine"])
  test(`${type} gives the best answer if all miss a constraint of the module's own signature`, async (t) => {
    const { gateway, model } = t.context;
    model.script({ fields: { answer: "a b", discussion: "none", advice: { inner: "none" } } });
    const { program } = await gateway.programs.createProgram({
      program: {
        name: `Own ${type}`,
        signature: { text: "question -> answer" },
        modules: [{ type, params, signature: { inputs, outputs } }],
      },
    });
    const run = { programId: program?.id ?? "", inputs: { question: "Which?" } };
    t.deepEqual((await gateway.programs.executeProgram(run)).outputs, { answer: "a b" });
  });

test("the program's own signature is checked all the same", async (t) => {
  const { gateway, model } = t.context;
  model.script({ fields: { answer: "a b" } });
  const { program } = await gateway.programs.createProgram({
    program: { name: "Checked", signature: { inputs, outputs }, modules: [{ type: "BestOfN", params }] },
  });
  const run = { programId: program?.id ?? "", inputs: { question: "Which?" } };
  const { reason, paths } = await failure(t, gateway.programs.executeProgram(run));
  t.deepEqual([reason, paths], ["OUTPUT_INVALID", ["outputs.answer"]]);
});
