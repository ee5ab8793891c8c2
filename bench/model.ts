import { join } from "node:path";
import { type Child, startChild } from "./child.ts";
import type { Call } from "./load.ts";

const request = {
  model: "bench",
  messages: [{ role: "user", content: "What is the capital of France? (asked as number 00000000)" }],
};

export type Model = {
  readonly pid: number;
  /** Address in the form of api_base. */
  readonly url: string;
  /** The request that a program makes, sent directly. */
  readonly call: Call;
  /** Sets the delay of all further answers. */
  delay(ms: number): Promise<void>;
  /** Number of answers so far, and CPU seconds used. */
  used(): Promise<{ calls: number; cpuSeconds: number }>;
  stop: Child["stop"];
};

/** Starts the model server that every contender asks. */
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
      body: Buffer.from(JSON.stringify(request)),
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
