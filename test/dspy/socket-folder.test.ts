import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import test from "ava";
import { makeSocketFolder } from "../../src/dspy/socket-folder.ts";

test.serial(
  "the folders of killed gateways are removed, and no folder of a gateway that may live",
  async (t) => {
    const temporary = mkdtempSync(join(tmpdir(), "sigrun-test-"));
    t.teardown(() => rmSync(temporary, { recursive: true, force: true }));
    process.env.TMPDIR = temporary;
    const make = (pid: number, ageS: number) => {
      const folder = join(temporary, `sigrun-sockets-${pid}-${Math.random().toString(36).slice(2, 8)}`);
      mkdirSync(folder, { mode: 0o700 });
      return { folder, age: () => utimesSync(folder, Date.now() / 1000 - ageS, Date.now() / 1000 - ageS) };
    };
    // No process has this id: the maximum on Linux is 2^22.
    const dead = 2 ** 22 + 1;
    const killed = make(dead, 3_600);
    const sameId = make(process.pid, 3_600);
    const living = make(process.ppid, 3_600);
    const starting = make(dead, 1);
    const serving = make(dead, 3_600);
    const server = createServer().listen(join(serving.folder, "sidecar.sock"));
    t.teardown(() => server.close());
    await new Promise((resolve) => server.once("listening", resolve));
    for (const { age } of [killed, sameId, living, starting, serving]) age();

    const made = await makeSocketFolder();
    t.false(existsSync(killed.folder));
    t.false(existsSync(sameId.folder));
    t.deepEqual(
      readdirSync(temporary).sort(),
      [living, starting, serving]
        .map(({ folder }) => basename(folder))
        .concat(basename(made))
        .sort(),
    );
  },
);
