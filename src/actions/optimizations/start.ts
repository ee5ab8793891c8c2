import { v7 as uuidv7 } from "uuid";
import type { LmRole } from "../../domain/catalogue/optimizers.ts";
import type { Values } from "../../domain/execution.ts";
import { Invalid, SidecarUnavailable, type Violation } from "../../domain/faults.ts";
import { maxViolations, pathTo } from "../../domain/json.ts";
import { type Labels, labelViolations } from "../../domain/labels.ts";
import { programStep } from "../../domain/lifecycle.ts";
import { configViolations, findOptimizer } from "../../domain/optimization/config.ts";
import { readExamples } from "../../domain/optimization/examples.ts";
import {
  type Budget,
  type Example,
  type Metric,
  type Optimization,
  readBudget,
} from "../../domain/optimization/optimization.ts";
import { splitExamples } from "../../domain/optimization/split.ts";
import { lmViolations } from "../../domain/program/lm.ts";
import type { LmSettings } from "../../domain/program/program.ts";
import type { Revision } from "../../domain/program/revision.ts";
import { type RequestKey, requestKey } from "../../domain/request.ts";
import type { SchemaCache } from "../../domain/signature/schema.ts";
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
    const draft = { ...check(request, revision), programId: program.id, request: key };
    if (!sidecar.info()) throw new SidecarUnavailable();
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
  function check(
    request: OptimizeRequest,
    { number, definition }: Revision,
  ): Omit<OptimizationDraft, "programId" | "request"> {
    const { signature } = definition;
    const violations: Violation[] = labelViolations(request.labels, "labels");
    const refuse = (field: string, description: string, reason: string) =>
      violations.push({ field, description, reason });
    const metrics = readMetrics(request.metrics, signature, violations);
    const read = (examples: readonly Example[], path: string) =>
      readExamples(examples, signature, schemas.of(signature), metrics, path, violations);
    const dataset = read(request.dataset, "dataset");
    const ownValset = read(request.valset, "valset");
    const { trainset, valset } =
      ownValset.length > 0 ? { trainset: dataset, valset: ownValset } : splitExamples(dataset, request.seed);
    if (trainset.length === 0)
      refuse(
        "dataset",
        ownValset.length > 0
          ? "is empty"
          : "must have at least 2 examples, to be split into trainset and valset",
        "length",
      );
    if (!Number.isSafeInteger(request.seed) || request.seed < 0 || request.seed > 2 ** 32 - 1)
      refuse("seed", "must be from 0 to 2^32-1", "range");

    const budget = readBudget(request.budget, "budget", violations);
    const name = request.optimizer || "BootstrapFewShot";
    const optimizer = findOptimizer(name, "optimizer", violations);
    if (optimizer && trainset.length > 0 && trainset.length < optimizer.leastTrainset)
      refuse(
        "dataset",
        `leaves ${trainset.length} examples for the trainset; ${name} needs at least ${optimizer.leastTrainset}`,
        "length",
      );
    if (optimizer) violations.push(...configViolations(optimizer, request.config, trainset.length, "config"));
    violations.push(...lmsViolations(request.lms, optimizer?.lms ?? [], metrics));
    if (violations.length > 0) throw new Invalid("REQUEST_INVALID", violations.slice(0, maxViolations));
    return {
      id: uuidv7(),
      baseRevision: number,
      optimizer: name,
      metrics,
      config: request.config,
      seed: request.seed,
      labels: request.labels,
      trainset,
      valset,
      budget,
      keepWorse: request.keepWorse,
      lms: request.lms,
    };
  }

  function lmsViolations(
    lms: OptimizeRequest["lms"],
    ofOptimizer: readonly LmRole[],
    metrics: readonly Metric[],
  ): Violation[] {
    const roles: string[] = [
      ...ofOptimizer,
      ...(metrics.some(({ name }) => name === "judge") ? ["judge"] : []),
    ];
    return Object.entries(lms).flatMap(([role, lm]) => {
      const field = pathTo("lms", role);
      if (roles.includes(role)) return lmViolations(lm, { allowedModels }, field);
      const expected =
        roles.length === 0 ? "this optimization takes no lms" : `expected one of ${roles.join(", ")}`;
      return [{ field, description: `unknown role ${JSON.stringify(role)}; ${expected}`, reason: "unknown" }];
    });
  }
}
