import { EventEmitter, on } from "node:events";
import type { ConnectRouter } from "@connectrpc/connect";
import { NotFound } from "../../domain/faults.ts";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../gen/grpc/health/v1/health_pb.ts";

export type HealthReport = {
  /** Sets whether a service is SERVING; "" is the whole gateway. */
  set(service: string, isServing: boolean): void;
  /** Sets every service to NOT_SERVING, for good. */
  shutDown(): void;
  readonly routes: (router: ConnectRouter) => void;
};

/**
 * grpc.health.v1 for the given services and "", the whole gateway. All are NOT_SERVING at first.
 */
export function createHealth(services: readonly string[]): HealthReport {
  const statuses = new Map<string, Status>(["", ...services].map((service) => [service, Status.NOT_SERVING]));
  const changes = new EventEmitter().setMaxListeners(0);
  let isShutDown = false;

  function change(service: string, status: Status): void {
    if (isShutDown || statuses.get(service) === status) return;
    statuses.set(service, status);
    changes.emit("change", service);
  }

  async function* watch(service: string, signal: AbortSignal) {
    const events = on(changes, "change", { signal });
    let last: Status | undefined;
    const readChange = () => {
      const status = statuses.get(service) ?? Status.SERVICE_UNKNOWN;
      const isChanged = status !== last;
      last = status;
      return isChanged;
    };
    if (readChange()) yield { status: last as Status };
    try {
      for await (const _ of events) if (readChange()) yield { status: last as Status };
    } catch (error) {
      if (!signal.aborted) throw error;
      // The gateway stops: the caller learns NOT_SERVING before its watch ends.
      if (readChange()) yield { status: last as Status };
      throw signal.reason;
    }
  }

  return {
    set: (service, isServing) => change(service, isServing ? Status.SERVING : Status.NOT_SERVING),
    shutDown() {
      for (const service of statuses.keys()) change(service, Status.NOT_SERVING);
      isShutDown = true;
    },
    routes: (router) => {
      router.service(Health, {
        check({ service }) {
          const status = statuses.get(service);
          if (status === undefined) throw new NotFound("service", service);
          return { status };
        },
        list: () => ({
          statuses: Object.fromEntries([...statuses].map(([service, status]) => [service, { status }])),
        }),
        watch: ({ service }, { signal }) => watch(service, signal),
      });
    },
  };
}
