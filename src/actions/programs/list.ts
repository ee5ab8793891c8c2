import { Invalid } from "../../domain/faults.ts";
import type { AskedList } from "../../domain/listing.ts";
import { programFields } from "../../domain/queryable.ts";
import type { ListedProgram, ProgramStore } from "../../store/programs.ts";
import { type List, list } from "../list.ts";

const mostLatest = 100;

/** Gives a page of the programs, each with as many of its newest executions as are asked for, 100 at most. */
export function createListPrograms({ programs }: { programs: ProgramStore }) {
  return async (project: string, asked: AskedList & { latest: number; withState: boolean }): Promise<List<ListedProgram>> => {
    const { latest, withState } = asked;
    if (latest < 0)
      throw new Invalid("REQUEST_INVALID", [{ field: "latest_executions_count", description: "must not be negative", reason: "range" }]);
    return list(asked, programFields, ["programs", project], {
      find: (listing) => programs.find(project, listing, { withState, latest: Math.min(latest, mostLatest) }),
      count: (listing) => programs.count(project, listing),
    });
  };
}
