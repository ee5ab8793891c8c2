import { spawn } from "node:child_process";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { supervise } from "../supervise.ts";
import type { Logger } from "../telemetry.ts";
import { childEnvironment } from "./child-environment.ts";
import { makeSocketFolder } from "./socket-folder.ts";

/** The child's file descriptor for its heartbeats: the fourth of `stdio`. */
const heartbeatPipe = 3;

/** Longer than the sidecar's own maximum, so that it is not killed. */
const defaultStopMs = 10_000;

export type SidecarChild = {
  /** A gRPC target for each worker. */
  readonly targets: readonly string[];
  /** Stops the sidecar; kills it after this time. */
  stop(maxMs?: number): Promise<void>;
};

/**
 * Runs the sidecar as a child. Each worker listens on a Unix socket that only this user can open.
 * The sockets keep their names over restarts.
 */
export async function startSidecarChild(options: {
  dir: string;
  workers: number;
  mcpServers: string | undefined;
  log: Logger;
}): Promise<SidecarChild> {
  const { dir, workers, mcpServers, log } = options;
  const runDir = await makeSocketFolder();
  const socket = (suffix: string) => `unix:${join(runDir, `sidecar${suffix}.sock`)}`;
  const supervised = supervise({
    name: "sidecar",
    log,
    heartbeats: heartbeatPipe,
    start: () =>
      spawn(
        join(dir, ".venv/bin/python"),
        [
          "-m",
          "dspy_sidecar",
          "--listen",
          socket(""),
          "--exit-with-stdin",
          "--heartbeats",
          String(heartbeatPipe),
        ],
        {
          cwd: dir,
          // Paths in the environment are absolute, because the sidecar has another working folder.
          env: childEnvironment(process.env, {
            SIGRUN_WORKERS: String(workers),
            ...(mcpServers && { SIGRUN_MCP_SERVERS: mcpServers }),
          }),
          // A process group of its own: Ctrl-C must not stop the sidecar while runs drain.
          detached: true,
          // The sidecar stops when its stdin ends, which happens however this process dies.
          stdio: ["pipe", "ignore", "pipe", "pipe"],
        },
      ),
  });
  return {
    // The sidecar derives the names of further sockets from the first one in the same way.
    targets: Array.from({ length: workers }, (_, number) => socket(number === 0 ? "" : `-${number}`)),
    async stop(maxMs = defaultStopMs) {
      await supervised.stop("SIGTERM", maxMs);
      await rm(runDir, { recursive: true, force: true });
    },
  };
}
