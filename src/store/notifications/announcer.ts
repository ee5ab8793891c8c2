import type { Notices } from "./notices.ts";

/** Notifies all gateways that executions of a project have changed. */
export type Announce = (project: string) => void;

/** Delay of the first notice, so that the run's own next step comes first. */
const delayMs = 1;
/**
 * Minimum time between two notices of a project: every NOTIFY takes a lock of the whole cluster.
 */
const minIntervalMs = 100;

/**
 * Sends notices outside of transactions, and no commit waits for one. A gateway that misses a
 * notice sees the change at its next poll.
 */
export function createAnnouncer(notices: Pick<Notices, "send">): Announce {
  /** Projects with a notice now or soon; true if executions changed since their last notice. */
  const hasChanged = new Map<string, boolean>();

  function notify(project: string): void {
    if (!hasChanged.get(project)) {
      hasChanged.delete(project);
      return;
    }
    hasChanged.set(project, false);
    notices.send({ kind: "change", project, id: "" }).catch(() => {});
    setTimeout(() => notify(project), minIntervalMs).unref();
  }

  return (project) => {
    if (!hasChanged.has(project)) setTimeout(() => notify(project), delayMs).unref();
    hasChanged.set(project, true);
  };
}
