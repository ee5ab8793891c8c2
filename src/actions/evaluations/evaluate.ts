import { setImmediate as nextTurn } from "node:timers/promises";
import { v7 as uuidv7 } from "uuid";
import { noTrace, type Trace } from "../../domain/execution.ts";
import { Cancelled, Fault, OutputInvalid, type StoreUnavailable } from "../../domain/faults.ts";
import {
  type ExampleScore,
  meanByWeight,
  type Summary,
  summarize,
} from "../../domain/optimization/evaluation.ts";
import { readExamples } from "../../domain/optimization/examples.ts";
import type { Example, Metric } from "../../domain/optimization/optimization.ts";
import { checkLm } from "../../domain/program/lm.ts";
import type { LmSettings } from "../../domain/program/program.ts";
import { checkTakenByRun } from "../../domain/program/reasoning-models.ts";
import type { Revision } from "../../domain/program/revision.ts";
import type { SchemaCache } from "../../domain/signature/schema.ts";
import { createViolations } from "../../domain/violations.ts";
import type { RunCall, Sidecar } from "../../dspy/client.ts";
import { retryUntilStoreAvailable } from "../../retry.ts";
import type { EvaluationStore } from "../../store/optimizations/evaluations.ts";
import type { ProgramStore } from "../../store/programs/programs.ts";
import type { Logger } from "../../telemetry.ts";
import type { RunCaller } from "../executions/run-request.ts";
import { readMetrics } from "../optimizations/metrics.ts";
import { checkConcurrency, defaultConcurrency, runPool } from "../pool.ts";

export type EvaluateRequest = {
  readonly programId: string;
  /** 0: the deployed revision, or the newest if none is deployed. */
  readonly revision: number;
  readonly dataset: readonly Example[];
  readonly metrics: readonly Metric[];
  readonly lm: LmSettings;
  /** 0: the default. */
  readonly concurrency: number;
};

type Deps = {
  programs: ProgramStore;
  evaluations: EvaluationStore;
  sidecar: Sidecar;
  schemas: SchemaCache;
  log: Logger;
  allowedModels: readonly string[];
};

/** Scores a program on examples: gives each result as it is ready, then the summary. */
export function createEvaluate({ programs, evaluations, sidecar, schemas, log, allowedModels }: Deps) {
  return async function* evaluate(
    project: string,
    request: EvaluateRequest,
    { signal, deadline }: Pick<RunCaller, "signal" | "deadline">,
  ): AsyncGenerator<ExampleScore | Summary> {
    const { program, revision } = await programs.getRevision(project, request.programId, request.revision);
    const { dataset, metrics } = await check(request, revision);
    await sidecar.ready(signal);
    const id = uuidv7();
    await evaluations.begin(project, {
      id,
      programId: program.id,
      revision: revision.number,
      metrics,
      examples: dataset.length,
    });

    const results: ExampleScore[] = [];
    let end: { status: "completed" | "failed" | "cancelled"; errorReason: string } = {
      status: "cancelled",
      errorReason: "CANCELLED",
    };
    try {
      const scoreAt = (index: number, end: AbortSignal) =>
        scoreOne(revision, { lm: request.lm, deadline }, metrics, dataset[index] as Example, index, end);
      for await (const result of runPool(
        dataset.length,
        request.concurrency || defaultConcurrency,
        signal,
        scoreAt,
      )) {
        // The call was cancelled; the program did not fail.
        if ("error" in result && signal.aborted) throw signal.reason;
        results.push(result);
        yield result;
      }
      end = { status: "completed", errorReason: "" };
    } catch (error) {
      const reason = error instanceof Fault ? error.reason : "INTERNAL";
      if (!(error instanceof Cancelled)) end = { status: "failed", errorReason: reason };
      throw error;
    } finally {
      const { examples: scored, score, ...summary } = summarize(metrics, results);
      await writeEnd(id, () =>
        evaluations.end(project, id, { ...end, ...summary, scored, score: scored === 0 ? null : score }),
      );
    }
    yield summarize(metrics, results);
  };

  /** Retries the write until the database is back; the caller gets UNAVAILABLE at once. */
  function writeEnd(id: string, write: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const onUnavailable = (error: StoreUnavailable) => {
        log.warn(
          { evaluation: id, err: error.cause },
          "the database does not take the end of an evaluation; retrying",
        );
        reject(error);
      };
      retryUntilStoreAvailable(write, onUnavailable).then(resolve, reject);
    });
  }

  async function check(
    { dataset, metrics: requestedMetrics, lm, concurrency }: EvaluateRequest,
    { definition }: Revision,
  ) {
    const { signature } = definition;
    const v = createViolations();
    checkLm(lm, { allowedModels }, v.at("lm"));
    checkTakenByRun(definition, lm, { allowedModels }, v.at("lm"));
    if (dataset.length === 0) v.add("dataset", "is empty", "missing");
    checkConcurrency(concurrency, v.at("concurrency"));
    const metrics = readMetrics(requestedMetrics, signature, v);
    const place = v.at("dataset");
    const examples = await readExamples(dataset, signature, schemas.of(signature), metrics, place, nextTurn);
    v.throwIfAny("REQUEST_INVALID");
    return { dataset: examples, metrics };
  }

  async function scoreOne(
    { dspyProgramId, definition }: Revision,
    settings: Pick<RunCall, "lm" | "deadline">,
    metrics: readonly Metric[],
    { inputs, outputs: expected }: Example,
    index: number,
    signal: AbortSignal,
  ): Promise<ExampleScore> {
    let trace: Trace = noTrace;
    const onTrace = (soFar: Trace) => {
      trace = soFar;
    };
    try {
      const answer = await sidecar.run(
        { dspyProgramId, definition, inputs, ...settings, scoring: { expected, metrics } },
        { onTrace },
        signal,
      );
      trace = answer.trace;
      const checked = schemas.of(definition.signature).outputs.validate(answer.outputs);
      if (!checked.ok) throw new OutputInvalid(checked.violations);
      const { metricScores } = answer;
      return {
        index,
        score: meanByWeight(metrics, metricScores),
        metricScores,
        outputs: checked.values,
        tokenUsage: trace.tokenUsage,
      };
    } catch (error) {
      return { index, score: 0, metricScores: metrics.map(() => 0), error, tokenUsage: trace.tokenUsage };
    }
  }
}
