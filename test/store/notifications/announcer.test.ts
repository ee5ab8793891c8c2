import test from "ava";
import { createAnnouncer } from "../../../src/store/notifications/announcer.ts";
import { until } from "../../_wait.ts";

/** Keeps what is sent, and may do something when it is; the first is lost on its way. */
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

test("changes at once are told once, soon; those that come while a project rests are told once more, after it", async (t) => {
  const { sent, announce, after, until } = controlled();
  after.set(1, () => {
    for (const project of ["a", "other", "a"]) announce(project);
  });
  for (const project of ["a", "a", "a"]) announce(project);
  t.deepEqual(sent, [], "nobody waits for it");
  await until(3);
  t.deepEqual(sent, ["a", "other", "a"]);
  // Two rests of another project are longer than what is left of any before.
  after.set(4, () => announce("clock"));
  after.set(5, () => announce("clock"));
  announce("clock");
  await until(6);
  t.deepEqual(sent.slice(3), ["clock", "clock", "clock"]);
  announce("a");
  await until(7);
  t.is(sent.at(-1), "a");
});
