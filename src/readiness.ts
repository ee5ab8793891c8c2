import type { HealthReport } from "./rpc/server/health.ts";

/** Interval at which the database is asked whether it answers. */
const checkMs = 2_000;
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
  databaseAnswers(): Promise<boolean>;
};

/** Sets the health of each service: all need the database, and ProgramService the sidecar too. */
export function watchReadiness({ health, services, databaseAnswers }: Deps): Readiness {
  const isUp = { database: true, sidecar: false };
  const firstUp = Promise.withResolvers<void>();

  function publish(): void {
    for (const { typeName } of services)
      health.set(typeName, isUp.database && (isUp.sidecar || !sidecarServices.includes(typeName)));
    health.set("", isUp.database && isUp.sidecar);
  }
  const timer = setInterval(async () => {
    isUp.database = await databaseAnswers();
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
