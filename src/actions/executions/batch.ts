import { type Annotations, annotationsOver } from "../../domain/annotations.ts";
import type { Execution, Values } from "../../domain/execution.ts";
import { DeadlineExceeded } from "../../domain/faults.ts";
import { checkLabels, type Labels } from "../../domain/labels.ts";
import { checkLm } from "../../domain/program/lm.ts";
import type { LmSettings } from "../../domain/program/program.ts";
import { checkTakenByRun } from "../../domain/program/reasoning-models.ts";
import { createViolations } from "../../domain/violations.ts";
import type { ProgramStore } from "../../store/programs/programs.ts";
import { checkConcurrency, defaultConcurrency, runPool } from "../pool.ts";
import type { RunProgram } from "./run.ts";

export type BatchRequest = {
  readonly programId: string;
  readonly revision: number;
  readonly items: readonly (Annotations & { readonly inputs: Values; readonly requestId: string })[];
  readonly labels: Labels;
  readonly lm: LmSettings;
  /** 0: the default. */
  readonly concurrency: number;
};

export type BatchCaller = {
  readonly signal: AbortSignal;
  /** Time-out of each item. */
  readonly timeoutMs: number;
};

/** The record of the run of an item, however it ended, or the error that left no record. */
export type BatchAnswer = { readonly index: number } & (
  | { readonly execution: Execution }
  | { readonly error: unknown }
);

type Deps = { run: RunProgram; programs: ProgramStore; allowedModels: readonly string[] };

/**
 * Runs many inputs, `concurrency` at a time, and gives each answer when its run ends.
 * Starts no further run before the caller has taken the answers so far.
 */
export function createBatch({ run, programs, allowedModels }: Deps) {
  return async function* batch(
    project: string,
    request: BatchRequest,
    caller: BatchCaller,
  ): AsyncGenerator<BatchAnswer> {
    await check(project, request);
    const { items, concurrency } = request;
    const { timeoutMs } = caller;
    // Items that had not started at the deadline have no record; the call ends with its status.
    yield* runPool(items.length, concurrency || defaultConcurrency, caller.signal, (index, signal) =>
      runItem(project, request, index, { signal, timeoutMs }),
    );
  };

  /** Refuses what is wrong for every item once, before any item starts. */
  async function check(
    project: string,
    { programId, revision, items, labels, lm, concurrency }: BatchRequest,
  ): Promise<void> {
    const v = createViolations();
    checkConcurrency(concurrency, v.at("concurrency"));
    if (items.length === 0) v.add("items", "is empty", "missing");
    checkLabels(labels, v.at("labels"));
    checkLm(lm, { allowedModels }, v.at("lm"));
    v.throwIfAny("REQUEST_INVALID");
    const found = await programs.getRevision(project, programId, revision);
    checkTakenByRun(found.revision.definition, lm, { allowedModels }, v.at("lm"));
    v.throwIfAny("REQUEST_INVALID");
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
    const ended = new AbortController();
    const timer = setTimeout(() => ended.abort(new DeadlineExceeded()), timeoutMs);
    try {
      const runRequest = {
        programId,
        revision,
        lm,
        inputs,
        requestId,
        ...annotationsOver(request.labels, item),
      };
      const itemCaller = {
        signal: AbortSignal.any([signal, ended.signal]),
        deadline: performance.now() + timeoutMs,
        onRecord: () => {},
      };
      return { index, execution: await run(project, "batch", runRequest, itemCaller) };
    } catch (error) {
      return { index, error };
    } finally {
      clearTimeout(timer);
    }
  }
}
