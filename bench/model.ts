import { join } from "node:path";
import { type Child, startChild } from "./child.ts";
import type { Call } from "./load.ts";

const asked = {
  model: "bench",
  messages: [{ role: "user", content: "What is the capital of France? (asked as number 00000000)" }],
};

export type Model = {
  readonly pid: number;
  /** As api_base wants it. */
  readonly url: string;
  /** The request that a program makes, made without one. */
  readonly call: Call;
  /** How long its answers take from now on. */
  delay(ms: number): Promise<void>;
  /** How many answers it has given, and the CPU seconds that it has used. */
  used(): Promise<{ calls: number; cpuSeconds: number }>;
  stop: Child["stop"];
};

/** The model server that every contender asks. */
export async function startModel({ program, scratch }: { program: string; scratch: string }): Promise<Model> {
  const child = startChild(program, [], { log: join(scratch, "model.log") });
  const address = (await child.line(/^ready (.*)$/))[1] as string;
  return {
    pid: child.pid,
    url: `http://${address}/v1`,
    call: {
      label: "the model alone",
      protocol: "http",
      targets: [address],
      path: "/v1/chat/completions",
      body: Buffer.from(JSON.stringify(asked)),
      expect: "Paris",
    },
    async delay(ms) {
      await fetch(`http://${address}/delay?ms=${ms}`, { method: "PUT" });
    },
    async used() {
      return (await (await fetch(`http://${address}/calls`)).json()) as { calls: number; cpuSeconds: number };
    },
    stop: child.stop,
  };
}
