import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

/** One way to call a server: the bytes to send, and a text that every answer contains. */
export type Call = {
  readonly label: string;
  readonly protocol: "http" | "grpc";
  /** host:port of each target; callers are spread over them. */
  readonly targets: readonly string[];
  /** Path, or full name of the method. */
  readonly path: string;
  readonly body: Uint8Array;
  readonly expect: string;
};

/** Duration or number of calls. */
export type Extent = { readonly seconds: number } | { readonly count: number };

/** Result of the load generator. */
export type Load = {
  readonly ok: number;
  readonly failed: number;
  /** Message of the first failure, if any. */
  readonly failure: string;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU seconds of the load generator. */
  readonly cpuSeconds: number;
};

const run = promisify(execFile);

/** Runs the load generator, which reads request bodies from files. */
export function createLoad({ program, scratch }: { program: string; scratch: string }) {
  let bodies = 0;
  const files = new Map<Uint8Array, string>();

  return async function load(call: Call, callers: number, extent: Extent): Promise<Load> {
    let body = files.get(call.body);
    if (body === undefined) {
      bodies += 1;
      body = join(scratch, `body-${bodies}`);
      writeFileSync(body, call.body);
      files.set(call.body, body);
    }
    const flags = {
      protocol: call.protocol,
      targets: call.targets.join(","),
      path: call.path,
      expect: call.expect,
      body,
      c: callers,
      ...extent,
    };
    const { stdout } = await run(
      program,
      Object.entries(flags).flatMap(([name, value]) => [`-${name}`, String(value)]),
    );
    return JSON.parse(stdout) as Load;
  };
}
