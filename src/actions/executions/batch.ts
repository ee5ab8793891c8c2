import { type Annotations, annotationsOver } from "../../domain/annotations.ts";
import type { Execution, Values } from "../../domain/execution.ts";
import { DeadlineExceeded, Invalid } from "../../domain/faults.ts";
import { checkLabels, type Labels } from "../../domain/labels.ts";
import { checkLm } from "../../domain/program/lm.ts";
import type { LmSettings } from "../../domain/program/program.ts";
import type { ProgramStore } from "../../store/programs/programs.ts";
import { concurrencyViolations, defaultConcurrency, runPool } from "../pool.ts";
import type { Run } from "./run.ts";

export type BatchRequest = {
  readonly programId: string;
  readonly revision: number;
  readonly items: readonly (Annotations & { readonly inputs: Values; readonly requestId: string })[];
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
export type BatchAnswer = { readonly index: number } & (
  | { readonly execution: Execution }
  | { readonly error: unknown }
);

type Deps = { run: Run; programs: ProgramStore; allowedModels: readonly string[] };

/** Runs many inputs, so many at a time, and answers each as it ends; begins no further one while an answer waits to be taken. */
export function createBatch({ run, programs, allowedModels }: Deps) {
  return async function* batch(
    project: string,
    request: BatchRequest,
    caller: BatchCaller,
  ): AsyncGenerator<BatchAnswer> {
    await check(project, request);
    const { items, concurrency } = request;
    const { timeoutMs } = caller;
    // What was not begun when the caller's time ran out has no record; the call's own status says so.
    yield* runPool(items.length, concurrency || defaultConcurrency, caller.signal, (index, signal) =>
      runItem(project, request, index, { signal, timeoutMs }),
    );
  };

  /** What is wrong for every item is told once, before any begins. */
  async function check(
    project: string,
    { programId, revision, items, labels, lm, concurrency }: BatchRequest,
  ): Promise<void> {
    const violations = concurrencyViolations(concurrency);
    if (items.length === 0) violations.push({ field: "items", description: "is empty", reason: "missing" });
    if (violations.length > 0) throw new Invalid("REQUEST_INVALID", violations);
    checkLabels(labels, "labels");
    checkLm(lm, { allowedModels }, "lm");
    await programs.getRevision(project, programId, revision);
  }

  async function runItem(
    project: string,
    request: BatchRequest,
    index: number,
    { signal, timeoutMs }: BatchCaller,
  ): Promise<BatchAnswer> {
    const { programId, revision, lm, items } = request;
    const item = items[index] as BatchRequest["items"][number];
    const { inputs, requestId } = item;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new DeadlineExceeded()), timeoutMs);
    try {
      const asked = { programId, revision, lm, inputs, requestId, ...annotationsOver(request.labels, item) };
      const limits = { timeoutMs, signal: AbortSignal.any([signal, late.signal]), onRecord: () => {} };
      return { index, execution: await run(project, "batch", asked, limits) };
    } catch (error) {
      return { index, error };
    } finally {
      clearTimeout(timer);
    }
  }
}
