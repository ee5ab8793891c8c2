import type { Execution, Values } from "../../domain/execution.ts";
import { Cancelled, DeadlineExceeded, Invalid } from "../../domain/faults.ts";
import { checkLabels, type Labels } from "../../domain/labels.ts";
import { checkLm } from "../../domain/lm.ts";
import type { LmSettings } from "../../domain/program.ts";
import type { ProgramStore } from "../../store/programs.ts";
import type { Run } from "./run.ts";

export type BatchRequest = {
  readonly programId: string;
  readonly revision: number;
  readonly items: readonly { readonly inputs: Values; readonly labels: Labels; readonly requestId: string }[];
  readonly labels: Labels;
  readonly lm: LmSettings;
  /** 0: the server's own. */
  readonly concurrency: number;
};

export type BatchCaller = {
  readonly signal: AbortSignal;
  /** Of each item. */
  readonly timeoutMs: number;
};

/** What an item came to: the record of its run, however that ended, or why there is none. */
export type BatchAnswer = { readonly index: number } & ({ readonly execution: Execution } | { readonly error: unknown });

type Deps = { run: Run; programs: ProgramStore; allowedModels: readonly string[] };

const usualConcurrency = 16;
const mostConcurrency = 256;

/** Runs many inputs, so many at a time, and answers each as it ends; begins no further one while an answer waits to be taken. */
export function createBatch({ run, programs, allowedModels }: Deps) {
  return async function* batch(project: string, request: BatchRequest, caller: BatchCaller): AsyncGenerator<BatchAnswer> {
    await check(project, request);
    const { items, concurrency } = request;
    const left = new AbortController();
    const signal = AbortSignal.any([caller.signal, left.signal]);
    const answers: BatchAnswer[] = [];
    let wake = () => {};
    let next = 0;
    let running = 0;

    async function answer(index: number): Promise<void> {
      running += 1;
      const answered = await runItem(project, request, index, { signal, timeoutMs: caller.timeoutMs });
      running -= 1;
      answers.push(answered);
      wake();
    }

    try {
      while (next < items.length || running > 0 || answers.length > 0) {
        while (next < items.length && running < (concurrency || usualConcurrency)) answer(next++);
        if (answers.length === 0)
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        for (let done = answers.shift(); done; done = answers.shift()) yield done;
        // What was not begun when the caller's time ran out has no record; the call's own status says so.
        if (caller.signal.aborted) throw caller.signal.reason;
      }
    } finally {
      left.abort(new Cancelled());
    }
  };

  /** What is wrong for every item is told once, before any begins. */
  async function check(project: string, { programId, revision, items, labels, lm, concurrency }: BatchRequest): Promise<void> {
    const refuse = (field: string, description: string, reason: string) => new Invalid("REQUEST_INVALID", [{ field, description, reason }]);
    if (items.length === 0) throw refuse("items", "is empty", "missing");
    if (concurrency > mostConcurrency) throw refuse("concurrency", `must be at most ${mostConcurrency}`, "range");
    checkLabels(labels, "labels");
    checkLm(lm, { allowedModels }, "lm");
    await programs.getRevision(project, programId, revision);
  }

  async function runItem(project: string, request: BatchRequest, index: number, { signal, timeoutMs }: BatchCaller): Promise<BatchAnswer> {
    const { programId, revision, lm, items } = request;
    const { inputs, labels, requestId } = items[index] as BatchRequest["items"][number];
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new DeadlineExceeded()), timeoutMs);
    try {
      const asked = { programId, revision, lm, inputs, requestId, labels: { ...request.labels, ...labels } };
      const limits = { timeoutMs, signal: AbortSignal.any([signal, late.signal]), onRecord: () => {} };
      return { index, execution: await run(project, "batch", asked, limits) };
    } catch (error) {
      return { index, error };
    } finally {
      clearTimeout(timer);
    }
  }
}
