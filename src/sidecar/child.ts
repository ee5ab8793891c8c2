import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { supervise } from "../supervise.ts";
import type { Logger } from "../telemetry.ts";

/** Longer than the sidecar's own grace, so that it ends by itself. */
const graceMs = 10_000;

/** Runs the sidecar as a child on a Unix socket that only we can open; the socket's name stays over restarts. */
export async function startSidecarChild({ dir, log }: { dir: string; log: Logger }): Promise<{ target: string; stop(): Promise<void> }> {
  const runDir = await mkdtemp(join(tmpdir(), "sigrun-"));
  const target = `unix:${join(runDir, "sidecar.sock")}`;
  const supervised = supervise({
    name: "sidecar",
    log,
    start: () =>
      spawn(join(dir, ".venv/bin/python"), ["-m", "dspy_sidecar", "--listen", target, "--exit-with-stdin"], {
        cwd: dir,
        // Ctrl-C on the terminal goes to the whole group; the sidecar must outlive the runs that drain.
        detached: true,
        // Its stdin ends when we die, however we die, and so does it.
        stdio: ["pipe", "ignore", "pipe"],
      }),
  });
  return {
    target,
    async stop() {
      await supervised.stop("SIGTERM", graceMs);
      await rm(runDir, { recursive: true, force: true });
    },
  };
}
