import type { Program } from "../../domain/program/revision.ts";
import type { CallLimits } from "../../dspy/channel.ts";
import type { ProgramStore } from "../../store/programs/programs.ts";
import type { Build } from "./build.ts";

/** Builds the newest revision of a program without running it. */
export function createCompileProgram({ programs, build }: { programs: ProgramStore; build: Build }) {
  return async function compileProgram(project: string, key: string, limits: CallLimits): Promise<Program> {
    const { id, newest } = await programs.get(project, key);
    await build(project, newest, limits);
    return programs.get(project, id);
  };
}
