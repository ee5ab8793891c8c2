import type { Performance } from "../../domain/program/performance.ts";
import type { Program } from "../../domain/program/revision.ts";
import type { PerformanceStore } from "../../store/programs/performance.ts";
import type { ProgramStore } from "../../store/programs/programs.ts";

type Deps = { programs: ProgramStore; performances: PerformanceStore };

/** Gives a program, with its performance metrics if wanted. */
export function createGetProgram({ programs, performances }: Deps) {
  return async (
    project: string,
    key: string,
    withPerformance: boolean,
  ): Promise<{ program: Program; performance?: Performance }> => {
    const program = await programs.get(project, key);
    const performance = withPerformance
      ? (await performances.of(project, [program.id])).get(program.id)
      : undefined;
    return { program, ...(performance && { performance }) };
  };
}
