import test from "ava";
import { createAnnouncer } from "../../../src/store/notifications/announcer.ts";
import { until } from "../../_wait.ts";

/**
 * An announcer that records its notices. The first one fails; `after` runs a callback at the nth.
 */
function controlled() {
  const sent: string[] = [];
  const after = new Map<number, () => void>();
  const announce = createAnnouncer({
    async send({ project }) {
      const count = sent.push(project);
      after.get(count)?.();
      if (count === 1) throw new Error("away");
    },
  });
  return { sent, announce, after, until: (count: number) => until(() => sent.length >= count) };
}

test("simultaneous changes share a notice, and changes within the minimum interval share the next one", async (t) => {
  const { sent, announce, after, until } = controlled();
  after.set(1, () => {
    for (const project of ["a", "other", "a"]) announce(project);
  });
  for (const project of ["a", "a", "a"]) announce(project);
  t.deepEqual(sent, [], "no call waits for its notice");
  await until(3);
  t.deepEqual(sent, ["a", "other", "a"]);
  // Three notices of another project take two intervals, so every earlier interval is over then.
  after.set(4, () => announce("clock"));
  after.set(5, () => announce("clock"));
  announce("clock");
  await until(6);
  t.deepEqual(sent.slice(3), ["clock", "clock", "clock"]);
  announce("a");
  await until(7);
  t.is(sent.at(-1), "a");
});
