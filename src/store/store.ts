import { v7 as uuidv7 } from "uuid";
import type { Logger } from "../telemetry.ts";
import { createAnnouncer } from "./announcer.ts";
import { type AttemptStore, createAttemptStore } from "./attempts.ts";
import { type ChangeLog, createChangeLog } from "./change-log.ts";
import { createDatabase, type Database } from "./database.ts";
import { createEvaluationStore, type EvaluationStore } from "./evaluations.ts";
import { createExecutionChanges, type ExecutionChangeStore } from "./execution-changes.ts";
import { defineExecutionRows } from "./execution-row.ts";
import { createExecutionStore, type ExecutionStore } from "./executions.ts";
import { createLeases, type Leases } from "./leases.ts";
import { migrate } from "./migrate.ts";
import { createNotices, type Notices } from "./notices.ts";
import { defineOptimizationRows } from "./optimization-row.ts";
import { createOptimizationStore, type OptimizationStore } from "./optimizations.ts";
import { createPerformanceStore, type PerformanceStore } from "./performance.ts";
import { createProgramChanges, type ProgramChanges } from "./program-changes.ts";
import { createProgramStore, type ProgramStore } from "./programs.ts";
import { openQueue, type Queue } from "./queue.ts";
import { createRecorder, type Recorder } from "./recorder.ts";
import { createRevisionStore, type RevisionStore } from "./revisions.ts";
import { createSignatureStore, type SignatureStore } from "./signatures.ts";

/** The rows of one gateway process. */
export type Store = {
  readonly database: Database;
  readonly signatures: SignatureStore;
  readonly revisions: RevisionStore;
  readonly programs: ProgramStore;
  readonly changes: ProgramChanges;
  readonly executions: ExecutionStore;
  readonly executionChanges: ExecutionChangeStore;
  readonly changeLog: ChangeLog;
  readonly notices: Notices;
  readonly recorder: Recorder;
  readonly leases: Leases;
  readonly optimizations: OptimizationStore;
  readonly attempts: AttemptStore;
  readonly evaluations: EvaluationStore;
  readonly performances: PerformanceStore;
  readonly queue: Queue;
  /** Lets go of the database, and of what listens to it. */
  close(): Promise<void>;
};

/** Opens the store and brings its tables up to date. */
export async function openStore(options: { url: string; schema: string; pool: number; log: Logger }): Promise<Store> {
  const { schema, log } = options;
  const runnerId = uuidv7();
  const database = createDatabase(options);
  const signatures = createSignatureStore(database);
  const revisions = createRevisionStore(database);
  const executionRows = defineExecutionRows(database.sequelize);
  const optimizationRows = defineOptimizationRows(database.sequelize);
  const queue = await migrate(database, schema, log)
    .then(() => openQueue(database, options))
    .catch(async (error: unknown) => {
      await database.close();
      throw error;
    });
  const notices = createNotices(database, options);
  const announce = createAnnouncer(notices);
  const programs = createProgramStore(database, { signatures, revisions, executionRows });
  const changes = createProgramChanges(database, { programs, revisions, signatures });
  return {
    database,
    signatures,
    revisions,
    programs,
    changes,
    executions: createExecutionStore(database, executionRows),
    executionChanges: createExecutionChanges(database, executionRows, announce),
    changeLog: createChangeLog(database, executionRows),
    notices,
    recorder: createRecorder(database, { runnerId, announce, log }),
    leases: createLeases(database, runnerId),
    optimizations: createOptimizationStore(database, optimizationRows, queue),
    attempts: createAttemptStore(database, optimizationRows, changes),
    evaluations: createEvaluationStore(database, runnerId),
    performances: createPerformanceStore(database),
    queue,
    async close() {
      await queue.stop();
      await notices.close();
      await database.close();
    },
  };
}
