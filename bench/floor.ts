import { join } from "node:path";
import { startChild } from "./child.ts";
import type { Contender } from "./contender.ts";
import type { Call } from "./load.ts";

const body = Buffer.alloc(700, "asked as number 00000000 ");

/** A bare Go server that asks the model without DSPy: the maximum of generator and model. */
export function floor(program: string): Contender {
  return {
    name: "bare Go server",
    family: "go",
    async start({ model, scratch }) {
      const child = startChild(program, ["-model", model], { log: join(scratch, "floor.log") });
      const [, http, grpc] = (await child.line(/^ready (\S+) (\S+)$/)) as unknown as [string, string, string];
      const call = (label: string, protocol: Call["protocol"], target: string): Call => ({
        label,
        protocol,
        targets: [target],
        path: "/bench.Floor/Ask",
        body,
        expect: "Paris",
      });
      return {
        pids: [child.pid],
        calls: [call("bare Go server, JSON", "http", http), call("bare Go server, gRPC", "grpc", grpc)],
        partOf: () => "server",
        stop: child.stop,
      };
    },
  };
}
