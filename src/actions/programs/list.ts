import { Invalid } from "../../domain/faults.ts";
import type { Performance } from "../../domain/program/performance.ts";
import { shownSignatures } from "../../domain/program/program.ts";
import type { AskedList } from "../../domain/query/listing.ts";
import { programFields } from "../../domain/query/queryable.ts";
import { weigh, weighTexts } from "../../domain/query/size.ts";
import type { PerformanceStore } from "../../store/programs/performance.ts";
import type { ListedProgram, ProgramStore } from "../../store/programs/programs.ts";
import { type List, list } from "../list.ts";

const maxLatest = 100;

type Deps = { programs: ProgramStore; performances: PerformanceStore };

/** A program, with its performance metrics if wanted. */
export type ProgramOfList = ListedProgram & { readonly performance?: Performance };

/**
 * Lists programs, each with its newest executions, at most 100. `isWhole` adds the compiled state
 * and the performance metrics.
 */
export function createListPrograms({ programs, performances }: Deps) {
  return async (
    project: string,
    request: AskedList & { latest: number; isWhole: boolean },
  ): Promise<List<ProgramOfList>> => {
    const { latest, isWhole } = request;
    if (latest < 0)
      throw Invalid.at("REQUEST_INVALID", "latest_executions_count", "must not be negative", "range");
    const page = await list<ListedProgram>(request, programFields, ["programs", project], {
      find: (listing) =>
        programs.find(project, listing, { withState: isWhole, latest: Math.min(latest, maxLatest) }),
      count: (listing) => programs.count(project, listing),
      bytesOf: (row) => weigh(row) + weighTexts(shownSignatures(row.program.newest.definition)),
    });
    if (!isWhole) return page;
    const found = await performances.of(
      project,
      page.rows.map(({ program }) => program.id),
    );
    const rows = page.rows.map((row) => {
      const performance = found.get(row.program.id);
      return { ...row, ...(performance && { performance }) };
    });
    return { ...page, rows };
  };
}
