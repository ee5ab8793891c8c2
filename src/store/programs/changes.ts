import { type Transaction, UniqueConstraintError } from "sequelize";
import { EtagMismatch, InUse, NotFound } from "../../domain/faults.ts";
import type { Labels } from "../../domain/labels.ts";
import type { Program, Revision } from "../../domain/program/revision.ts";
import type { RequestKey } from "../../domain/request.ts";
import { slow } from "../connection/patience.ts";
import type { Database } from "../database.ts";
import type { ProgramStore } from "./programs.ts";
import type { RevisionDraft, RevisionStore } from "./revisions.ts";
import type { SignatureStore } from "./signatures.ts";

/** What a change sets. Fields that are left out stay as they are. */
export type ProgramChange = {
  readonly name?: string;
  readonly description?: string;
  readonly labels?: Labels;
  /** null: no revision is deployed. */
  readonly deployedRevision?: number | null;
  /** Becomes the newest revision. */
  readonly revision?: RevisionDraft;
  readonly request?: RequestKey;
};

/** Decides on a change of a program that is locked meanwhile; undefined if nothing changes. */
export type Decide = (
  program: Program,
  revisionOf: (number: number) => Promise<Revision>,
) => Promise<ProgramChange | undefined>;

export type ProgramChanges = {
  /**
   * Changes a program under a lock on its row. Throws EtagMismatch if an etag is given and is not
   * the program's. Undefined if the request_id is on record.
   */
  change(project: string, key: string, etag: string, decide: Decide): Promise<Program | undefined>;
  /** Adds a revision in the caller's transaction, as the newest. Returns its number. */
  addRevision(
    project: string,
    key: string,
    revision: RevisionDraft,
    transaction: Transaction,
  ): Promise<number>;
  /**
   * Deletes a program with its revisions and runs. Throws InUse if it has runs and force is not
   * set.
   */
  remove(project: string, key: string, etag: string, force: boolean): Promise<void>;
};

type Stores = { programs: ProgramStore; revisions: RevisionStore; signatures: SignatureStore };

export function createProgramChanges(
  database: Database,
  { programs, revisions, signatures }: Stores,
): ProgramChanges {
  const run = (sql: string, bind: unknown[], transaction: Transaction) =>
    database.rows<{ id: string }>({ sql, patience: slow }, bind, transaction);

  /** Locks the program, then reads it, so that it reads what the last holder of the lock wrote. */
  async function lock(
    project: string,
    key: string,
    etag: string,
    transaction: Transaction,
  ): Promise<Program> {
    const { id } = await programs.get(project, key, transaction);
    const [locked] = await run(
      "SELECT id FROM sigrun.programs WHERE project_id = $1 AND id = $2 FOR UPDATE",
      [project, id],
      transaction,
    );
    if (!locked) throw new NotFound("program", key);
    const program = await programs.get(project, id, transaction);
    if (etag !== "" && etag !== program.etag) throw new EtagMismatch("program", key);
    return program;
  }

  async function write(
    project: string,
    program: Program,
    change: ProgramChange,
    transaction: Transaction,
  ): Promise<void> {
    const newest = program.newest.number + (change.revision ? 1 : 0);
    if (change.revision) {
      const { id } = await signatures.findOrCreate(
        project,
        change.revision.definition.signature,
        transaction,
      );
      await revisions.create(project, program.id, newest, id, change.revision, transaction, change.request);
    }
    const { name, description, labels, deployedRevision } = { ...program, ...change };
    await run(
      updateSql,
      [project, program.id, name, description, JSON.stringify(labels), newest, deployedRevision],
      transaction,
    );
  }

  return {
    async change(project, key, etag, decide) {
      try {
        return await database.transact(async (transaction) => {
          const program = await lock(project, key, etag, transaction);
          const change = await decide(program, (number) =>
            revisions.get(project, program.id, number, transaction),
          );
          if (!change) return program;
          await write(project, program, change, transaction);
          return programs.get(project, program.id, transaction);
        });
      } catch (error) {
        if (error instanceof UniqueConstraintError && "request_id" in error.fields) return undefined;
        throw error;
      }
    },

    async addRevision(project, key, revision, transaction) {
      const program = await lock(project, key, "", transaction);
      await write(project, program, { revision }, transaction);
      return program.newest.number + 1;
    },

    async remove(project, key, etag, force) {
      await database.transact(async (transaction) => {
        const { id } = await lock(project, key, etag, transaction);
        // A run that starts now waits for this lock, and then finds its revision gone.
        await run(
          "SELECT number AS id FROM sigrun.program_revisions WHERE project_id = $1 AND program_id = $2 FOR UPDATE",
          [project, id],
          transaction,
        );
        const [found] = await run(
          "SELECT id FROM sigrun.executions WHERE project_id = $1 AND program_id = $2 LIMIT 1",
          [project, id],
          transaction,
        );
        if (found && !force)
          throw new InUse(`program ${JSON.stringify(key)} has executions; set force to delete them too`);
        await run(
          "DELETE FROM sigrun.programs WHERE project_id = $1 AND id = $2",
          [project, id],
          transaction,
        );
      });
    },
  };
}

const updateSql = `
  UPDATE sigrun.programs
  SET name = $3, description = $4, labels = $5::jsonb, newest_revision = $6, deployed_revision = $7,
      version = version + 1, updated_at = now()
  WHERE project_id = $1 AND id = $2`;
