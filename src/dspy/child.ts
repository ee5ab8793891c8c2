import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { supervise } from "../supervise.ts";
import type { Logger } from "../telemetry.ts";

/** Longer than the sidecar's own grace, so that it ends by itself. */
const graceMs = 10_000;

export type SidecarChild = {
  /** A gRPC target for each worker. */
  readonly targets: readonly string[];
  stop(): Promise<void>;
};

/**
 * Runs the sidecar as a child, each worker on a Unix socket that only we can open; the sockets'
 * names stay over restarts.
 */
export async function startSidecarChild(options: {
  dir: string;
  workers: number;
  mcpServers: string | undefined;
  log: Logger;
}): Promise<SidecarChild> {
  const { dir, workers, mcpServers, log } = options;
  const runDir = await mkdtemp(join(tmpdir(), "sigrun-"));
  const socket = (end: string) => `unix:${join(runDir, `sidecar${end}.sock`)}`;
  const supervised = supervise({
    name: "sidecar",
    log,
    start: () =>
      spawn(
        join(dir, ".venv/bin/python"),
        ["-m", "dspy_sidecar", "--listen", socket(""), "--exit-with-stdin"],
        {
          cwd: dir,
          // Its folder is not ours, so a file's address must be whole.
          env: {
            ...process.env,
            SIGRUN_WORKERS: String(workers),
            ...(mcpServers && { SIGRUN_MCP_SERVERS: mcpServers }),
          },
          // Ctrl-C on the terminal goes to the whole group; the sidecar must outlive the runs that
          // drain.
          detached: true,
          // Its stdin ends when we die, however we die, and so does it.
          stdio: ["pipe", "ignore", "pipe"],
        },
      ),
  });
  return {
    // As the sidecar names them, after the first one's.
    targets: Array.from({ length: workers }, (_, number) => socket(number === 0 ? "" : `-${number}`)),
    async stop() {
      await supervised.stop("SIGTERM", graceMs);
      await rm(runDir, { recursive: true, force: true });
    },
  };
}
