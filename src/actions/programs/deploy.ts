import { checkProgramStep } from "../../domain/lifecycle.ts";
import { type Program, type Revision, statusOfRevision } from "../../domain/program/revision.ts";
import type { ProgramChanges } from "../../store/programs/changes.ts";

/** Deploys a revision, which callers then get by default, and undeploys it. */
export function createDeploy({ changes }: { changes: ProgramChanges }) {
  /** Without a request_id, a change is always made or refused: never undefined. */
  const change = async (...args: Parameters<ProgramChanges["change"]>) =>
    (await changes.change(...args)) as Program;

  return {
    /** revision 0: the newest. */
    deployProgram: (project: string, key: string, number: number, etag: string): Promise<Program> =>
      change(project, key, etag, async (program, revisionOf) => {
        const revision =
          number === 0 || number === program.newest.number ? program.newest : await revisionOf(number);
        checkProgramStep("deploy", statusOfRevision(program, revision), nameOf(program, revision));
        return { deployedRevision: revision.number };
      }),

    undeployProgram: (project: string, key: string, etag: string): Promise<Program> =>
      change(project, key, etag, async (program) => {
        const { deployedRevision, newest } = program;
        checkProgramStep(
          "undeploy",
          deployedRevision === null ? newest.status : "deployed",
          `program ${JSON.stringify(program.handle)}`,
        );
        return { deployedRevision: null };
      }),
  };
}

const nameOf = ({ handle }: Program, { number }: Revision) =>
  `revision ${number} of program ${JSON.stringify(handle)}`;
