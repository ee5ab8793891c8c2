import { fileURLToPath } from "node:url";
import { fromJson, type JsonValue, toBinary } from "@bufbuild/protobuf";
import { type Gateway, startScripted, type Teardown } from "./_gateway.ts";
import { type LargeRequest, largeProgram } from "./_large-requests.ts";

export type Block = { readonly ms: number; readonly answer: string; readonly bytes: number };

/** Starts a gateway that tells how long a request holds its event loop. */
export async function startBlockMeter(t: Teardown) {
  const probe = fileURLToPath(new URL("_loop-probe.ts", import.meta.url));
  const { gateway, model } = await startScripted(t, {
    NODE_OPTIONS: `--import=${probe}`,
    SIGRUN_WORKERS: "1",
  });
  model.script({ fields: { answer: "here" } });
  await gateway.programs.createProgram({ program: largeProgram });

  return {
    gateway,
    /** Sends a request as JSON or binary, by Connect over HTTP/1.1. */
    async send({ method, json }: LargeRequest, format: "json" | "proto"): Promise<Block | undefined> {
      const body = format === "json" ? Buffer.from(JSON.stringify(json)) : binaryOf(method.input, json);
      if (!body || body.length > 4 * 2 ** 20) return undefined;
      await askProbe(gateway);
      const isUnary = method.methodKind === "unary";
      const response = await fetch(`${gateway.url}/${method.parent.typeName}/${method.name}`, {
        method: "POST",
        headers: {
          "content-type": `application/${isUnary ? "" : "connect+"}${format}`,
          "connect-timeout-ms": "3000",
        },
        body: isUnary ? body : Buffer.concat([headOf(body), body]),
      });
      const text = Buffer.from(await response.arrayBuffer()).toString("latin1");
      const answer = /"code":"([a-z_]+)"/.exec(text)?.[1] ?? "ok";
      return { ms: await askProbe(gateway), answer, bytes: body.length };
    },
  };
}

function binaryOf(type: LargeRequest["method"]["input"], json: JsonValue): Buffer | undefined {
  try {
    return Buffer.from(toBinary(type, fromJson(type, json)));
  } catch {
    return undefined;
  }
}

function headOf(body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  return head;
}

function askProbe({ process: child }: Gateway): Promise<number> {
  return new Promise((resolve) => {
    child.once("message", (told) => resolve((told as { longestBlockMs: number }).longestBlockMs));
    child.send("longest block");
  });
}
