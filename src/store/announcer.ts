import type { Notices } from "./notices.ts";

/** Tells all gateways that executions of a project have changed: the first time at once, then now and then. */
export type Announce = (project: string) => void;

/** Each NOTIFY takes a lock of the whole cluster's, so not every commit has one. */
const restMs = 100;

/** Outside of any transaction, and nobody waits for it: whoever misses it looks again by itself. */
export function createAnnouncer(notices: Pick<Notices, "send">): Announce {
  const resting = new Map<string, { isMore: boolean }>();

  function announce(project: string): void {
    const rest = resting.get(project);
    if (rest) rest.isMore = true;
    else send(project);
  }

  function send(project: string): void {
    const rest = { isMore: false };
    resting.set(project, rest);
    notices.send({ kind: "change", project, id: "" }).catch(() => {});
    setTimeout(() => {
      resting.delete(project);
      if (rest.isMore) send(project);
    }, restMs).unref();
  }

  return announce;
}
