import { setImmediate as nextTurn } from "node:timers/promises";
import { v7 as uuidv7 } from "uuid";
import { findMetric } from "../../domain/catalogue/metrics.ts";
import { checkConfig, type LmRole } from "../../domain/catalogue/optimizer.ts";
import { findOptimizer } from "../../domain/catalogue/optimizers.ts";
import type { Values } from "../../domain/execution.ts";
import { checkLabels, type Labels } from "../../domain/labels.ts";
import { programStep } from "../../domain/lifecycle.ts";
import { readExamples } from "../../domain/optimization/examples.ts";
import {
  type Budget,
  type Example,
  type Metric,
  maxThreads,
  type Optimization,
  readBudget,
} from "../../domain/optimization/optimization.ts";
import { splitExamples } from "../../domain/optimization/split.ts";
import { checkLm, checkRoles } from "../../domain/program/lm.ts";
import type { LmSettings } from "../../domain/program/program.ts";
import { checkTaken, checkTakenParameter } from "../../domain/program/reasoning-models.ts";
import type { Revision } from "../../domain/program/revision.ts";
import { type RequestKey, requestKey } from "../../domain/request.ts";
import type { SchemaCache } from "../../domain/signature/schema.ts";
import { createViolations, type Violations } from "../../domain/violations.ts";
import type { CallLimits } from "../../dspy/channel.ts";
import type { Sidecar } from "../../dspy/client.ts";
import type { OptimizationDraft, OptimizationStore } from "../../store/optimizations/optimizations.ts";
import type { ProgramStore } from "../../store/programs/programs.ts";
import { once } from "../once.ts";
import type { Build } from "../programs/build.ts";
import { readMetrics } from "./metrics.ts";

export type OptimizeRequest = {
  /** UUID or handle. */
  readonly programId: string;
  /** 0: the newest. */
  readonly baseRevision: number;
  readonly dataset: readonly Example[];
  /** Empty: split from dataset. */
  readonly valset: readonly Example[];
  /** Empty: BootstrapFewShot. */
  readonly optimizer: string;
  readonly metrics: readonly Metric[];
  readonly config: Values;
  readonly seed: number;
  /** 0: the default. */
  readonly threads: number;
  readonly budget: Budget | undefined;
  readonly keepWorse: boolean;
  readonly lms: Readonly<Record<string, LmSettings>>;
  readonly labels: Labels;
  readonly requestId: string;
};

type Deps = {
  programs: ProgramStore;
  optimizations: OptimizationStore;
  sidecar: Sidecar;
  schemas: SchemaCache;
  build: Build;
  allowedModels: readonly string[];
};

/** Checks the whole request, builds the program if needed, and queues the optimization. */
export function createStartOptimization({
  programs,
  optimizations,
  sidecar,
  schemas,
  build,
  allowedModels,
}: Deps) {
  return async function start(
    project: string,
    request: OptimizeRequest,
    limits: CallLimits,
  ): Promise<Optimization> {
    const key = requestKey("optimize", request.requestId, request);
    const { optimization } = await once(
      key,
      ({ id }) => optimizations.findByRequest(project, id),
      () => enqueue(project, request, key, limits),
    );
    return optimization;
  };

  /** Undefined if another call recorded the same request_id first. */
  async function enqueue(
    project: string,
    request: OptimizeRequest,
    key: RequestKey | null,
    limits: CallLimits,
  ): Promise<{ optimization: Optimization } | undefined> {
    const { program, revision } = await revisionOf(project, request);
    const draft = { ...(await check(request, revision)), programId: program.id, request: key };
    await sidecar.ready(limits.signal);
    if (!programStep("optimize").from.includes(revision.status)) await build(project, revision, limits);
    const isRecorded = await optimizations.create(project, draft);
    return isRecorded ? { optimization: await optimizations.get(project, draft.id) } : undefined;
  }

  async function revisionOf(project: string, { programId, baseRevision }: OptimizeRequest) {
    const program = await programs.get(project, programId);
    if (baseRevision === 0) return { program, revision: program.newest };
    return programs.getRevision(project, program.id, baseRevision);
  }

  /** Collects the violations of all parts before it throws. */
  async function check(
    request: OptimizeRequest,
    { number, definition }: Revision,
  ): Promise<Omit<OptimizationDraft, "programId" | "request">> {
    const { signature } = definition;
    const v = createViolations();
    checkLabels(request.labels, v.at("labels"));
    const metrics = readMetrics(request.metrics, signature, v);
    const read = (examples: readonly Example[], path: string) =>
      readExamples(examples, signature, schemas.of(signature), metrics, v.at(path), nextTurn);
    const dataset = await read(request.dataset, "dataset");
    const ownValset = await read(request.valset, "valset");
    const { trainset, valset } =
      ownValset.length > 0 ? { trainset: dataset, valset: ownValset } : splitExamples(dataset, request.seed);
    if (trainset.length === 0)
      v.add(
        "dataset",
        ownValset.length > 0
          ? "is empty"
          : "must have at least 2 examples, to be split into trainset and valset",
        "length",
      );
    if (!Number.isSafeInteger(request.seed) || request.seed < 0 || request.seed > 2 ** 32 - 1)
      v.add("seed", "must be from 0 to 2^32-1", "range");

    if (request.threads > maxThreads)
      v.add("threads", `must be from 1 to ${maxThreads}; 0 means the default`, "range");

    const budget = readBudget(request.budget, v.at("budget"));
    const name = request.optimizer || "BootstrapFewShot";
    const optimizer = findOptimizer(name, v.at("optimizer"));
    if (optimizer && trainset.length > 0 && trainset.length < optimizer.minTrainset)
      v.add(
        "dataset",
        `leaves ${trainset.length} examples for the trainset; ${name} needs at least ${optimizer.minTrainset}`,
        "length",
      );
    if (optimizer) checkConfig(optimizer, request.config, { trainset: trainset.length }, v.at("config"));
    checkLms(request.lms, definition.lm, optimizer?.lms ?? [], metrics, v.at("lms"));
    const proposing = [definition.lm, request.lms.prompt ?? {}];
    const models = { allowedModels };
    if (optimizer)
      checkTakenParameter(
        "init_temperature",
        request.config,
        optimizer.parameters,
        proposing,
        models,
        v.at("config"),
      );
    v.throwIfAny("REQUEST_INVALID");
    return {
      id: uuidv7(),
      baseRevision: number,
      optimizer: name,
      metrics,
      config: request.config,
      seed: request.seed,
      threads: request.threads,
      labels: request.labels,
      trainset,
      valset,
      budget,
      keepWorse: request.keepWorse,
      lms: request.lms,
    };
  }

  function checkLms(
    lms: OptimizeRequest["lms"],
    ofProgram: LmSettings,
    ofOptimizer: readonly LmRole[],
    metrics: readonly Metric[],
    v: Violations,
  ): void {
    const ofMetrics = metrics.flatMap(({ name }) => findMetric(name)?.lms ?? []);
    const roles: readonly string[] = [...new Set([...ofOptimizer, ...ofMetrics])];
    checkRoles(lms, roles, v);
    for (const [role, lm] of Object.entries(lms)) {
      if (!roles.includes(role)) continue;
      checkLm(lm, { allowedModels }, v.at(role));
      checkTaken([{ lm: ofProgram }, { lm, v: v.at(role) }], { allowedModels }, v.at(role));
    }
  }
}
