import type { ServiceImpl } from "@connectrpc/connect";
import type { createEvaluate } from "../actions/evaluations/evaluate.ts";
import type { createStartOptimization } from "../actions/optimizations/start.ts";
import type { createCompileProgram } from "../actions/programs/compile.ts";
import type { createCreateProgram } from "../actions/programs/create.ts";
import type { createDeploy } from "../actions/programs/deploy.ts";
import type { createGetProgram } from "../actions/programs/get.ts";
import type { createImportState } from "../actions/programs/import.ts";
import type { createListPrograms } from "../actions/programs/list.ts";
import type { createRevisions } from "../actions/programs/revisions.ts";
import type { createUpdateProgram } from "../actions/programs/update.ts";
import { type ProgramService, ProgramView } from "../gen/sigrun/v1/program_service_pb.ts";
import type { Logger } from "../telemetry.ts";
import { callerOf, usualMs } from "./caller.ts";
import { evaluateMethod } from "./evaluate.ts";
import { optimizeMethod } from "./optimizations.ts";
import type { RunMethods } from "./runs.ts";
import { given } from "./wire/given.ts";
import { pageMessage } from "./wire/page.ts";
import { callerProgram, programMessage, revisionMessage } from "./wire/program.ts";

type Actions = {
  createProgram: ReturnType<typeof createCreateProgram>;
  getProgram: ReturnType<typeof createGetProgram>;
  listPrograms: ReturnType<typeof createListPrograms>;
  updateProgram: ReturnType<typeof createUpdateProgram>;
  deleteProgram(project: string, key: string, etag: string, force: boolean): Promise<void>;
  compileProgram: ReturnType<typeof createCompileProgram>;
  deploy: ReturnType<typeof createDeploy>;
  revisions: ReturnType<typeof createRevisions>;
  runs: RunMethods;
  optimizeProgram: ReturnType<typeof createStartOptimization>;
  evaluateProgram: ReturnType<typeof createEvaluate>;
  importState: ReturnType<typeof createImportState>;
  log: Logger;
};

export function programService(actions: Actions): ServiceImpl<typeof ProgramService> {
  return {
    ...actions.runs,
    optimizeProgram: optimizeMethod(actions.optimizeProgram),
    evaluateProgram: evaluateMethod(actions.evaluateProgram, actions.log),

    async createProgram({ program, requestId, validateOnly }, context) {
      const { project } = callerOf(context, usualMs.build);
      return {
        program: programMessage(
          await actions.createProgram(project, callerProgram(program), requestId, validateOnly),
          ProgramView.FULL,
        ),
      };
    },

    async getProgram({ id, view }, context) {
      const { project } = callerOf(context, usualMs.read);
      const shown = view || ProgramView.FULL;
      const { program, ...rest } = await actions.getProgram(
        project,
        given(id, "id"),
        shown === ProgramView.FULL,
      );
      return { program: programMessage(program, shown, rest) };
    },

    async listPrograms(request, context) {
      const { project } = callerOf(context, usualMs.read);
      const view = request.view || ProgramView.BASIC;
      const wanted = { latest: request.latestExecutionsCount, isWhole: view === ProgramView.FULL };
      const { rows, ...page } = await actions.listPrograms(project, { ...request, ...wanted });
      return {
        programs: rows.map(({ program, ...rest }) => programMessage(program, view, rest)),
        ...pageMessage(page),
      };
    },

    async updateProgram({ program, updateMask, validateOnly }, context) {
      const { project } = callerOf(context, usualMs.build);
      const id = given(program?.id ?? "", "program.id");
      const etag = program?.etag ?? "";
      const changed = await actions.updateProgram(project, {
        id,
        etag,
        asked: callerProgram(program),
        mask: updateMask?.paths ?? [],
        validateOnly,
      });
      return { program: programMessage(changed, ProgramView.FULL) };
    },

    async deleteProgram({ id, etag, force }, context) {
      const { project } = callerOf(context, usualMs.read);
      await actions.deleteProgram(project, given(id, "id"), etag, force);
      return {};
    },

    async compileProgram({ programId }, context) {
      const { project, ...limits } = callerOf(context, usualMs.build);
      return {
        program: programMessage(
          await actions.compileProgram(project, given(programId, "program_id"), limits),
          ProgramView.FULL,
        ),
      };
    },

    async deployProgram({ programId, revision, etag }, context) {
      const { project } = callerOf(context, usualMs.read);
      return {
        program: programMessage(
          await actions.deploy.deploy(project, given(programId, "program_id"), revision, etag),
          ProgramView.FULL,
        ),
      };
    },

    async undeployProgram({ programId, etag }, context) {
      const { project } = callerOf(context, usualMs.read);
      return {
        program: programMessage(
          await actions.deploy.undeploy(project, given(programId, "program_id"), etag),
          ProgramView.FULL,
        ),
      };
    },

    async getRevision({ programId, revision }, context) {
      const { project } = callerOf(context, usualMs.read);
      return {
        revision: revisionMessage(
          await actions.revisions.get(project, given(programId, "program_id"), revision),
          true,
        ),
      };
    },

    async listRevisions(request, context) {
      const { project } = callerOf(context, usualMs.read);
      const { rows, ...page } = await actions.revisions.list(
        project,
        given(request.programId, "program_id"),
        request,
      );
      return { revisions: rows.map((revision) => revisionMessage(revision, false)), ...pageMessage(page) };
    },

    async importProgramState(request, context) {
      const { project, ...limits } = callerOf(context, usualMs.build);
      given(request.compiledState, "compiled_state");
      const program = await actions.importState(
        project,
        { ...request, programId: given(request.programId, "program_id") },
        limits,
      );
      return { program: programMessage(program, ProgramView.FULL) };
    },

    async rollbackProgram(request, context) {
      const { project } = callerOf(context, usualMs.read);
      return {
        program: programMessage(
          await actions.revisions.rollback(project, {
            ...request,
            programId: given(request.programId, "program_id"),
          }),
          ProgramView.FULL,
        ),
      };
    },
  };
}
