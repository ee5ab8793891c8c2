import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expected } from "./asked.ts";
import type { Child } from "./child.ts";
import type { Call } from "./load.ts";
import type { PartOf } from "./processes.ts";

/** Settings of a contender. */
export type Setting = {
  readonly model: string;
  /** File that DSPy's save() wrote, if the program has demos. */
  readonly state: string | undefined;
  /** Folder for the contender's files. */
  readonly scratch: string;
};

/** A running contender. */
export type Served = {
  /** Root processes of the contender; all their descendants belong to it. */
  readonly pids: readonly number[];
  /** Ways to call it, each measured by itself. */
  readonly calls: readonly Call[];
  readonly partOf: PartOf;
  /** Number of completed executions on record, if the contender keeps records. */
  recorded?(): Promise<number>;
  stop(): Promise<void>;
};

/** A server of the program. start() resolves after the first correct answer. */
export type Contender = {
  readonly name: string;
  /** Family that --only selects. */
  readonly family: string;
  /** Installs what it needs; not part of the measured start. */
  prepare?(setting: Setting): void;
  start(setting: Setting): Promise<Served>;
};

const maxStartMs = 120_000;

/** Waits for the first correct answer over HTTP. */
export async function firstAnswer(child: Child, { targets: [target], path, body }: Call): Promise<void> {
  let lastAnswer = "nothing";
  const deadline = Date.now() + maxStartMs;
  for (; Date.now() < deadline; await sleep(20)) {
    const end = child.ended();
    if (end) throw new Error(end);
    try {
      const headers = { "content-type": "application/json" };
      const response = await fetch(`http://${target}${path}`, {
        method: "POST",
        headers,
        body: Buffer.from(body),
      });
      lastAnswer = await response.text();
      if (response.ok && lastAnswer.includes(expected)) return;
    } catch (error) {
      lastAnswer = String(error);
    }
  }
  throw new Error(
    `no correct answer within ${maxStartMs / 1000} s; the last one was: ${lastAnswer.slice(0, 300)}`,
  );
}

/** A free port. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
