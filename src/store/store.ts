import { v7 as uuidv7 } from "uuid";
import { StoreUnavailable } from "../domain/faults.ts";
import { type ChangeLog, createChangeLog } from "./changes/log.ts";
import { type Clients, type Connections, createClients } from "./connection/clients.ts";
import { checkPooledSession, checkSameDatabase, checkServer, connectFirst } from "./connection/fitness.ts";
import { isOutage } from "./connection/outage.ts";
import { createDatabase, type Database } from "./database.ts";
import { createExecutionChanges, type ExecutionChangeStore } from "./executions/changes.ts";
import { createExecutionStore, type ExecutionStore } from "./executions/executions.ts";
import { createOwnRuns, type OwnRuns } from "./executions/own-runs.ts";
import { createRecorder, type Recorder } from "./executions/recorder.ts";
import { defineExecutionRows } from "./executions/row.ts";
import { createLeases, type Leases } from "./leases.ts";
import { migrate, type Schemas } from "./migrate.ts";
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
import { schemasOf } from "./schemas.ts";

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
  readonly ownRuns: OwnRuns;
  readonly optimizations: OptimizationStore;
  readonly attempts: AttemptStore;
  readonly evaluations: EvaluationStore;
  readonly performances: PerformanceStore;
  readonly queue: Queue;
  /** Stops the queue and the notices, and closes the connections. */
  close(): Promise<void>;
};

/** Opens the store and applies pending migrations. */
export async function openStore(options: Connections & { schema: string; pool: number }): Promise<Store> {
  const { log } = options;
  const schemas = schemasOf(options.schema);
  const { schema } = schemas;
  const runnerId = uuidv7();
  const clients = createClients(options);
  // A pooler takes a LISTEN, and hands on no notice.
  const canListen = !options.isPooled || options.direct !== undefined;
  await prepare(clients, schemas, options);
  const database = createDatabase({ ...options, Client: clients.Query });
  const signatures = createSignatureStore(database);
  const revisions = createRevisionStore(database);
  const executionRows = defineExecutionRows(database.sequelize);
  const optimizationRows = defineOptimizationRows(database.sequelize);
  const notices = createNotices(database, { Client: clients.Listen, schema, canListen, log });
  const queue = await openQueue(database, {
    Client: clients.Job,
    schema: schemas.jobs,
    notices,
    log,
  }).catch(async (error: unknown) => {
    await database.close();
    throw error;
  });
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
    ownRuns: createOwnRuns(database, runnerId),
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

/** Checks the server, and brings the tables up to date on a connection of their own. */
async function prepare(
  clients: Clients,
  schemas: Schemas,
  { isPooled, direct, log }: Connections,
): Promise<void> {
  const [migrating, querying] = [new clients.Migration(), new clients.Query()];
  try {
    await connectFirst(migrating);
    await checkServer(migrating);
    await connectFirst(querying);
    if (isPooled) await checkPooledSession(querying);
    if (direct) await checkSameDatabase(migrating, querying);
    await migrate(migrating, schemas, log);
  } catch (error) {
    throw isOutage(error) ? new StoreUnavailable(error) : error;
  } finally {
    await Promise.all([migrating.end(), querying.end()]);
  }
}
