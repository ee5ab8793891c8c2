import { Invalid } from "./faults.ts";

/** The program that a filter names: 'program_id = "..."', by UUID or handle; "" for an empty filter. */
export function programOfFilter(filter: string): string {
  if (filter.trim() === "") return "";
  const program = /^\s*program_id\s*=\s*"([A-Za-z0-9-]{1,63})"\s*$/.exec(filter)?.[1];
  if (program) return program;
  const description = 'this version filters by program alone: program_id = "..."';
  throw new Invalid("FILTER_INVALID", [{ field: "filter", description, reason: "filter" }]);
}
