import type { Notices } from "./notices.ts";

/** Tells all gateways that executions of a project have changed: the first time soon, then now and then. */
export type Announce = (project: string) => void;

/** After what the run itself has to do next. */
const soonMs = 1;
/** Each NOTIFY takes a lock of the whole cluster's, so not every commit has one. */
const restMs = 100;

/** Outside of any transaction, and nobody waits for it: whoever misses it looks again by itself. */
export function createAnnouncer(notices: Pick<Notices, "send">): Announce {
  /** Those that were told of a moment ago, or are about to be, and whether there is news since. */
  const hasNews = new Map<string, boolean>();

  function tell(project: string): void {
    if (!hasNews.get(project)) {
      hasNews.delete(project);
      return;
    }
    hasNews.set(project, false);
    notices.send({ kind: "change", project, id: "" }).catch(() => {});
    setTimeout(() => tell(project), restMs).unref();
  }

  return (project) => {
    if (!hasNews.has(project)) setTimeout(() => tell(project), soonMs).unref();
    hasNews.set(project, true);
  };
}
