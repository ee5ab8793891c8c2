import type { ServiceImpl } from "@connectrpc/connect";
import type { OptimizationActions } from "../actions/optimizations/actions.ts";
import type { OptimizationService } from "../gen/sigrun/v1/optimization_service_pb.ts";
import type { ProgramService } from "../gen/sigrun/v1/program_service_pb.ts";
import { callerOf } from "./caller.ts";
import { budgetOf, exampleOf, metricOf, optimizationMessage } from "./wire/optimization.ts";
import { pageMessage } from "./wire/page.ts";
import { lmsByRole } from "./wire/program.ts";
import { requiredField } from "./wire/required-field.ts";
import { valuesOf } from "./wire/signature.ts";

export function optimizationService(actions: OptimizationActions): ServiceImpl<typeof OptimizationService> {
  return {
    async getOptimization({ id }, context) {
      const { project } = callerOf(context);
      return {
        optimization: optimizationMessage(await actions.getOptimization(project, requiredField(id, "id"))),
      };
    },

    async listOptimizations(request, context) {
      const { project } = callerOf(context);
      const { rows, ...page } = await actions.listOptimizations(project, request);
      return { optimizations: rows.map(optimizationMessage), ...pageMessage(page) };
    },

    async *watchOptimization({ id }, context) {
      const { project, signal } = callerOf(context);
      for await (const seen of actions.watchOptimization(project, requiredField(id, "id"), signal))
        if (seen === "heartbeat") yield { event: { case: "heartbeat", value: {} } };
        else yield { event: { case: "optimization", value: optimizationMessage(seen) } };
    },

    async cancelOptimization({ id }, context) {
      const { project } = callerOf(context);
      return {
        optimization: optimizationMessage(await actions.cancelOptimization(project, requiredField(id, "id"))),
      };
    },
  };
}

/** OptimizeProgram, a method of ProgramService: it starts an optimization. */
export function optimizeMethods(
  actions: OptimizationActions,
): Pick<ServiceImpl<typeof ProgramService>, "optimizeProgram"> {
  return {
    async optimizeProgram(request, context) {
      const { project, signal, timeoutMs } = callerOf(context);
      const options = {
        programId: requiredField(request.programId, "program_id"),
        baseRevision: request.baseRevision,
        dataset: request.dataset.map(exampleOf),
        valset: request.valset.map(exampleOf),
        optimizer: request.optimizer,
        metrics: request.metrics.map(metricOf),
        config: valuesOf(request.config),
        seed: Number(request.seed ?? 0n),
        threads: request.threads,
        budget: budgetOf(request.budget),
        keepWorse: request.keepWorse,
        lms: lmsByRole(request.lms),
        labels: request.labels,
        requestId: request.requestId,
      };
      return {
        optimization: optimizationMessage(
          await actions.optimizeProgram(project, options, { signal, timeoutMs }),
        ),
      };
    },
  };
}
