import { randomUUID } from "node:crypto";
import anyTest, { type TestFn } from "ava";
import { type Gateway, shared, startScripted } from "../../_gateway.ts";
import type { Reply, ScriptedModel } from "../../_model.ts";
import { until } from "../../_wait.ts";

// One after the other, since their times are measured.
const test = anyTest.serial as TestFn<{ gateway: Gateway; model: ScriptedModel }>;
const file = shared(anyTest);
const rounds = 20;
const maxMs = 100;
const inputs = { question: "?" };
const silent: Reply = { hang: true };
/** An answer that falls silent in the middle of its text. */
const half: Reply = { fields: { answer: "Paris, on the Seine, a city of light" }, pieces: 6 };

test.before(async (t) => {
  const { gateway, model } = await startScripted(file);
  t.context = { gateway, model };
});

const signature = { text: "question -> answer" };
const plain = [{ type: "Predict" }];
const bestOfN = [
  { type: "BestOfN", params: { N: 3, threshold: 1, reward_fn: "fits" }, modules: [{ type: "Predict" }] },
];

type Case = {
  name: string;
  modules: object[];
  replies: Reply[];
  isStream: boolean;
  /** Whether the caller hangs up; else CancelExecution ends the run. */
  isHangUp: boolean;
};
const cases: Case[] = [
  { name: "a run whose caller hangs up", modules: plain, replies: [silent], isStream: false, isHangUp: true },
  { name: "a run by CancelExecution", modules: plain, replies: [silent], isStream: false, isHangUp: false },
  { name: "a stream whose caller hangs up", modules: plain, replies: [half], isStream: true, isHangUp: true },
  { name: "a stream by CancelExecution", modules: plain, replies: [half], isStream: true, isHangUp: false },
  {
    name: "a stream before its first text",
    modules: plain,
    replies: [silent],
    isStream: true,
    isHangUp: true,
  },
  { name: "a run of BestOfN", modules: bestOfN, replies: [silent], isStream: false, isHangUp: true },
  { name: "a stream of BestOfN", modules: bestOfN, replies: [half], isStream: true, isHangUp: true },
  {
    name: "a streamed retry in JSON",
    modules: plain,
    replies: [{ text: "no fields" }, silent],
    isStream: true,
    isHangUp: true,
  },
];

for (const { name, modules, replies, isStream, isHangUp } of cases)
  test(`the cancel of ${name} reaches the model within ${maxMs} ms`, async (t) => {
    const { gateway, model } = t.context;
    const { programs, executions } = gateway;
    const { program } = await programs.createProgram({ program: { name, signature, modules } });
    const programId = program?.id ?? "";
    const times: number[] = [];
    for (let round = 0; round < rounds; round++) {
      model.script(...replies);
      const leave = new AbortController();
      const request = { programId, inputs, requestId: randomUUID() };
      const before = model.requests.length;
      const aborted = model.aborted();
      let chunks = 0;
      const call = isStream
        ? (async () => {
            for await (const { event } of programs.streamProgram(request, { signal: leave.signal }))
              if (event.case === "chunk") chunks += 1;
          })()
        : programs.executeProgram(request, { signal: leave.signal });
      const ended = call.then(
        () => {},
        () => {},
      );
      await until(
        () => model.requests.length === before + replies.length && (replies[0] !== half || chunks > 0),
      );
      const cancelledAt = performance.now();
      if (isHangUp) leave.abort();
      else await executions.cancelExecution({ key: { case: "requestId", value: request.requestId } });
      await until(() => model.aborted() === aborted + 1);
      times.push(model.abortedAt() - cancelledAt);
      await ended;
    }
    times.sort((a, b) => a - b);
    const median = times[rounds / 2] as number;
    t.log(`median of ${rounds}: ${median.toFixed(1)} ms; ${times.map((ms) => Math.round(ms)).join(" ")}`);
    // A busy machine delays some; a time that the code waits by itself delays all.
    t.true((times[2] as number) < maxMs);
  });
