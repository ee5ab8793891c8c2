import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expected } from "./asked.ts";
import type { Child } from "./child.ts";
import type { Call } from "./load.ts";
import type { PartOf } from "./processes.ts";

/** What a contender is started with. */
export type Setting = {
  readonly model: string;
  /** The file that DSPy's save() wrote, where the program has demos. */
  readonly state: string | undefined;
  /** A folder for what it writes. */
  readonly scratch: string;
};

/** A contender that serves. */
export type Served = {
  /** Those that it was started by; all below them are its own too. */
  readonly pids: readonly number[];
  /** The ways to call it; each is measured by itself. */
  readonly calls: readonly Call[];
  readonly partOf: PartOf;
  /** How many completed executions stand on record, where it keeps records. */
  recorded?(): Promise<number>;
  stop(): Promise<void>;
};

/** Something that serves the program; start() resolves with the first right answer. */
export type Contender = {
  readonly name: string;
  /** Which choose it by --only. */
  readonly family: string;
  /** What must be there before it starts, and is no part of its start. */
  prepare?(setting: Setting): void;
  start(setting: Setting): Promise<Served>;
};

const longestStartMs = 120_000;

/** Waits until a call by HTTP is answered rightly. */
export async function firstAnswer(child: Child, { targets: [target], path, body }: Call): Promise<void> {
  let said = "nothing";
  const deadline = Date.now() + longestStartMs;
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
      said = await response.text();
      if (response.ok && said.includes(expected)) return;
    } catch (error) {
      said = String(error);
    }
  }
  throw new Error(`no right answer within ${longestStartMs / 1000} s, but: ${said.slice(0, 300)}`);
}

/** One that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
