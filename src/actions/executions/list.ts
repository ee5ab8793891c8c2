import type { Execution } from "../../domain/execution.ts";
import { readPage, turnPage } from "../../domain/page.ts";
import type { ExecutionStore } from "../../store/executions.ts";
import type { ProgramStore } from "../../store/programs.ts";

/** Gives a page of the executions, newest first; of one program where its id or handle is given. */
export function createListExecutions({ executions, programs }: { executions: ExecutionStore; programs: ProgramStore }) {
  return async function listExecutions(
    project: string,
    asked: { program: string; pageSize: number; pageToken: string; withValues: boolean },
  ) {
    const query = ["executions", project, asked.program];
    const page = readPage(asked, query);
    const programId = asked.program === "" ? undefined : (await programs.get(project, asked.program)).id;
    const rows = await executions.list(project, {
      ...page,
      limit: page.limit + 1,
      withValues: asked.withValues,
      ...(programId !== undefined && { programId }),
    });
    return turnPage<Execution>(rows, page, query, ({ id }) => id);
  };
}
