import type { ServiceImpl } from "@connectrpc/connect";
import type { EvaluationActions } from "../actions/evaluations/actions.ts";
import type { ExecutionActions } from "../actions/executions/actions.ts";
import type { OptimizationActions } from "../actions/optimizations/actions.ts";
import type { ProgramActions } from "../actions/programs/actions.ts";
import { ignoredModels } from "../domain/program/ignored-models.ts";
import { type ProgramService, ProgramView } from "../gen/sigrun/v1/program_service_pb.ts";
import type { Logger } from "../telemetry.ts";
import { callerOf } from "./caller.ts";
import { evaluateMethods } from "./evaluate.ts";
import { executeMethods } from "./execute.ts";
import { optimizeMethods } from "./optimizations.ts";
import { pageMessage } from "./wire/page.ts";
import { callerProgram, programMessage, revisionMessage } from "./wire/program.ts";
import { requiredField } from "./wire/required-field.ts";

type Deps = {
  programs: ProgramActions;
  executions: ExecutionActions;
  optimizations: OptimizationActions;
  evaluations: EvaluationActions;
  log: Logger;
};

export function programService({
  programs,
  executions,
  optimizations,
  evaluations,
  log,
}: Deps): ServiceImpl<typeof ProgramService> {
  return {
    ...executeMethods(executions, log),
    ...optimizeMethods(optimizations),
    ...evaluateMethods(evaluations, log),

    async createProgram({ program, requestId, validateOnly }, context) {
      const { project } = callerOf(context);
      return {
        program: programMessage(
          await programs.createProgram(project, callerProgram(program), requestId, validateOnly),
          ProgramView.FULL,
        ),
      };
    },

    async getProgram({ id, view }, context) {
      const { project } = callerOf(context);
      const shown = view || ProgramView.FULL;
      const { program, ...rest } = await programs.getProgram(
        project,
        requiredField(id, "id"),
        shown === ProgramView.FULL,
      );
      return { program: programMessage(program, shown, rest) };
    },

    async listPrograms(request, context) {
      const { project } = callerOf(context);
      const view = request.view || ProgramView.BASIC;
      const wanted = { latest: request.latestExecutionsCount, isWhole: view === ProgramView.FULL };
      const { rows, ...page } = await programs.listPrograms(project, { ...request, ...wanted });
      return {
        programs: rows.map(({ program, ...rest }) => programMessage(program, view, rest)),
        ...pageMessage(page),
      };
    },

    async updateProgram({ program, updateMask, validateOnly }, context) {
      const { project } = callerOf(context);
      const id = requiredField(program?.id ?? "", "program.id");
      const etag = program?.etag ?? "";
      const changed = await programs.updateProgram(project, {
        id,
        etag,
        program: callerProgram(program),
        mask: updateMask?.paths ?? [],
        validateOnly,
      });
      return { program: programMessage(changed, ProgramView.FULL) };
    },

    async deleteProgram({ id, etag, force }, context) {
      const { project } = callerOf(context);
      await programs.deleteProgram(project, requiredField(id, "id"), etag, force);
      return {};
    },

    async compileProgram({ programId }, context) {
      const { project, signal, timeoutMs } = callerOf(context);
      return {
        program: programMessage(
          await programs.compileProgram(project, requiredField(programId, "program_id"), {
            signal,
            timeoutMs,
          }),
          ProgramView.FULL,
        ),
      };
    },

    async deployProgram({ programId, revision, etag }, context) {
      const { project } = callerOf(context);
      return {
        program: programMessage(
          await programs.deployProgram(project, requiredField(programId, "program_id"), revision, etag),
          ProgramView.FULL,
        ),
      };
    },

    async undeployProgram({ programId, etag }, context) {
      const { project } = callerOf(context);
      return {
        program: programMessage(
          await programs.undeployProgram(project, requiredField(programId, "program_id"), etag),
          ProgramView.FULL,
        ),
      };
    },

    async getRevision({ programId, revision }, context) {
      const { project } = callerOf(context);
      return {
        revision: revisionMessage(
          await programs.getRevision(project, requiredField(programId, "program_id"), revision),
          true,
        ),
      };
    },

    async exportProgram({ programId, revision }, context) {
      const { project, signal, timeoutMs } = callerOf(context);
      const key = requiredField(programId, "program_id");
      return programs.exportProgram(project, key, revision, { signal, timeoutMs });
    },

    async listRevisions(request, context) {
      const { project } = callerOf(context);
      const { rows, ...page } = await programs.listRevisions(
        project,
        requiredField(request.programId, "program_id"),
        request,
      );
      return { revisions: rows.map((revision) => revisionMessage(revision, false)), ...pageMessage(page) };
    },

    async importProgramState(request, context) {
      const { project, signal, timeoutMs } = callerOf(context);
      requiredField(request.compiledState, "compiled_state");
      const program = await programs.importProgramState(
        project,
        { ...request, programId: requiredField(request.programId, "program_id") },
        { signal, timeoutMs },
      );
      return {
        program: programMessage(program, ProgramView.FULL),
        ignoredModels: ignoredModels(request.compiledState),
      };
    },

    async rollbackProgram(request, context) {
      const { project } = callerOf(context);
      return {
        program: programMessage(
          await programs.rollbackProgram(project, {
            ...request,
            programId: requiredField(request.programId, "program_id"),
          }),
          ProgramView.FULL,
        ),
      };
    },
  };
}
