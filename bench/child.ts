import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

const graceMs = 10_000;
const running = new Set<ChildProcess>();

// Kills the children at every end of the bench, because some servers outlive their parent.
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
  const output = createWriteStream(log);
  child.stderr?.pipe(output);
  const stdout = createInterface({ input: child.stdout as Readable });
  stdout.on("line", (line) => {
    lines.push(line);
    output.write(`${line}\n`);
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
        const match = (line: string) => {
          const found = pattern.exec(line);
          if (found) resolve(found);
        };
        lines.forEach(match);
        stdout.on("line", match);
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
