import { v7 as uuidv7 } from "uuid";
import type { Logger } from "../telemetry.ts";
import { type ChangeLog, createChangeLog } from "./changes/log.ts";
import { createDatabase, type Database } from "./database.ts";
import { createExecutionChanges, type ExecutionChangeStore } from "./executions/changes.ts";
import { createExecutionStore, type ExecutionStore } from "./executions/executions.ts";
import { createRecorder, type Recorder } from "./executions/recorder.ts";
import { defineExecutionRows } from "./executions/row.ts";
import { createLeases, type Leases } from "./leases.ts";
import { migrate } from "./migrate.ts";
import { createAnnouncer } from "./notifications/announcer.ts";
import { createNotices, type Notices } from "./notifications/notices.ts";
import { type AttemptStore, createAttemptStore } from "./optimizations/attempts.ts";
import { createEvaluationStore, type EvaluationStore } from "./optimizations/evaluations.ts";
import { createOptimizationStore, type OptimizationStore } from "./optimizations/optimizations.ts";
import { openQueue, type Queue } from "./optimizations/queue.ts";
import { defineOptimizationRows } from "./optimizations/row.ts";
import { createProgramChanges, type ProgramChanges } from "./programs/changes.ts";
import { createPerformanceStore, type PerformanceStore } from "./programs/performance.ts";
import { createProgramStore, type ProgramStore } from "./programs/programs.ts";
import { createRevisionStore, type RevisionStore } from "./programs/revisions.ts";
import { createSignatureStore, type SignatureStore } from "./programs/signatures.ts";

/** All that one gateway process stores. */
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
  /** Stops the queue and the notices, and closes the connections. */
  close(): Promise<void>;
};

/** Opens the store and applies pending migrations. */
export async function openStore(options: {
  url: string;
  schema: string;
  pool: number;
  log: Logger;
}): Promise<Store> {
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
  const programs = createProgramStore(database, { signatures, revisions });
  const changes = createProgramChanges(database, { programs, revisions, signatures });
  return {
    database,
    signatures,
    revisions,
    programs,
    changes,
    executions: createExecutionStore(database, executionRows),
    executionChanges: createExecutionChanges(database, executionRows, announce),
    changeLog: createChangeLog(database),
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
