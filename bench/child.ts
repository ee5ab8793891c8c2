import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

const graceMs = 10_000;
const running = new Set<ChildProcess>();

// Runs however the bench ends: not every server ends with the process that started it.
process.on("exit", () => {
  for (const child of running) signal(child, "SIGKILL");
});
for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => process.exit(1));

export type Child = {
  readonly pid: number;
  /** Resolves with the first matching line of stdout; rejects if the process ends before. */
  line(pattern: RegExp): Promise<RegExpExecArray>;
  /** Exit code; undefined while the process runs. */
  ended(): string | undefined;
  stop(): Promise<void>;
};

/**
 * Starts a process in its own process group, whose members end together and with the bench. Its
 * output goes to a file.
 */
export function startChild(
  command: string,
  args: string[],
  { log, ...options }: SpawnOptions & { log: string },
): Child {
  const child = spawn("setpriv", ["--pdeathsig", "TERM", "--", command, ...args], {
    ...options,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  const lines: string[] = [];
  const said = createWriteStream(log);
  child.stderr?.pipe(said);
  const stdout = createInterface({ input: child.stdout as Readable });
  stdout.on("line", (line) => {
    lines.push(line);
    said.write(`${line}\n`);
  });
  const exited = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  const ended = () => {
    if (child.pid === undefined) return `${command} can't be started`;
    const { exitCode, signalCode } = child;
    return exitCode === null && signalCode === null
      ? undefined
      : `${command} ended with ${exitCode ?? signalCode}; see ${log}`;
  };
  return {
    pid: child.pid as number,
    ended,
    line: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (line: string) => {
          const found = pattern.exec(line);
          if (found) resolve(found);
        };
        lines.forEach(look);
        stdout.on("line", look);
        exited.then(() => reject(new Error(ended())));
      }),
    async stop() {
      signal(child, "SIGTERM");
      const timer = setTimeout(() => signal(child, "SIGKILL"), graceMs);
      await exited;
      clearTimeout(timer);
      // Workers may outlive the process that started them.
      signal(child, "SIGKILL");
      running.delete(child);
    },
  };
}

function signal({ pid }: ChildProcess, name: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
