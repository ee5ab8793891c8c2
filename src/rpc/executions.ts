import type { ServiceImpl } from "@connectrpc/connect";
import type { createGetExecution } from "../actions/executions/get.ts";
import type { createListExecutions } from "../actions/executions/list.ts";
import { programOfFilter } from "../domain/filter.ts";
import { type ExecutionService, ExecutionView } from "../gen/sigrun/v1/execution_service_pb.ts";
import { callerOf, usualMs } from "./caller.ts";
import { executionMessage } from "./wire/execution.ts";

type Actions = { getExecution: ReturnType<typeof createGetExecution>; listExecutions: ReturnType<typeof createListExecutions> };

export function executionService({ getExecution, listExecutions }: Actions): Partial<ServiceImpl<typeof ExecutionService>> {
  return {
    async getExecution({ id, view }, context) {
      const { project } = callerOf(context, usualMs.read);
      return { execution: executionMessage(await getExecution(project, id), view || ExecutionView.FULL) };
    },

    async listExecutions({ filter, pageSize, pageToken, view }, context) {
      const { project } = callerOf(context, usualMs.read);
      const shown = view || ExecutionView.BASIC;
      const withValues = shown === ExecutionView.FULL;
      const { rows, nextPageToken } = await listExecutions(project, { program: programOfFilter(filter), pageSize, pageToken, withValues });
      return { executions: rows.map((execution) => executionMessage(execution, shown)), nextPageToken };
    },
  };
}
