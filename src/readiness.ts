import type { HealthReport } from "./rpc/server/health.ts";

/** Interval at which the database is asked whether it takes writes. */
const checkMs = 2_000;
/** The database counts as away if it has not answered when the next check but one is due. */
const maxUnanswered = 2;
const sidecarServices = ["sigrun.v1.ProgramService"];

export type Readiness = {
  setSidecar(isUp: boolean): void;
  /** Resolves when the sidecar is up for the first time. */
  readonly sidecarUp: Promise<void>;
  stop(): void;
};

type Deps = {
  health: HealthReport;
  services: readonly { readonly typeName: string }[];
  isWritable(): Promise<boolean>;
  /** True if this gateway's lease, a write every 5 s, was renewed in time. */
  isLeaseHeld(): boolean;
};

/** Sets the health of each service: all need the database, and ProgramService the sidecar too. */
export function watchReadiness({ health, services, isWritable, isLeaseHeld }: Deps): Readiness {
  const isUp = { database: true, sidecar: false };
  const firstUp = Promise.withResolvers<void>();
  let unanswered = 0;

  function publish(): void {
    for (const { typeName } of services)
      health.set(typeName, isUp.database && (isUp.sidecar || !sidecarServices.includes(typeName)));
    health.set("", isUp.database && isUp.sidecar);
  }
  const timer = setInterval(async () => {
    unanswered += 1;
    if (unanswered === 1) {
      isUp.database = (await isWritable()) && isLeaseHeld();
      unanswered = 0;
    } else if (unanswered > maxUnanswered) isUp.database = false;
    publish();
  }, checkMs);

  return {
    setSidecar(isSidecarUp) {
      isUp.sidecar = isSidecarUp;
      publish();
      if (isSidecarUp) firstUp.resolve();
    },
    sidecarUp: firstUp.promise,
    stop: () => clearInterval(timer),
  };
}
