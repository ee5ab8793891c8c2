import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What the model does with one request: fields as ChatAdapter reads them, plain text, an HTTP error, or no answer at all; at once, or after something. */
export type Reply =
  | { fields: Record<string, unknown>; after?: Promise<unknown> }
  | { text: string }
  | { status: number; error: object; headers?: Record<string, string> }
  | { hang: true };

export type ScriptedModel = {
  readonly url: string;
  /** The bodies of the requests, oldest first. */
  readonly requests: { messages: { role: string; content: string }[]; [key: string]: unknown }[];
  /** How many requests the other side gave up. */
  aborted(): number;
  /** Replies to the requests to come, one each; when they are used up, the last one again. */
  script(...replies: Reply[]): void;
  close(): void;
};

const usage = { prompt_tokens: 30, completion_tokens: 12, total_tokens: 42 };

/** An OpenAI-compatible server that says what a test wants it to say. */
export async function startModel(): Promise<ScriptedModel> {
  const requests: ScriptedModel["requests"] = [];
  let replies: Reply[] = [{ fields: { answer: "Paris", confidence: 0.9, sources: ["atlas"] } }];
  let aborted = 0;

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    requests.push(JSON.parse(Buffer.concat(parts).toString()));
    response.on("close", () => {
      if (!response.writableFinished) aborted += 1;
    });
    const reply = (replies.length > 1 ? replies.shift() : replies[0]) as Reply;
    if ("hang" in reply) return;
    response.setHeader("content-type", "application/json");
    if ("status" in reply) {
      response.writeHead(reply.status, reply.headers);
      response.end(JSON.stringify({ error: reply.error }));
      return;
    }
    if ("after" in reply) await reply.after;
    const content = "text" in reply ? reply.text : chat(reply.fields);
    const choices = [{ index: 0, finish_reason: "stop", message: { role: "assistant", content } }];
    response.end(JSON.stringify({ id: "1", object: "chat.completion", created: 1, model: "scripted", choices, usage }));
  }

  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((listening) => {
    server.listen(0, "127.0.0.1", listening);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    aborted: () => aborted,
    script: (...next) => {
      replies = next;
    },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function chat(fields: Record<string, unknown>): string {
  const parts = Object.entries(fields).map(
    ([name, value]) => `[[ ## ${name} ## ]]\n${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  return [...parts, "[[ ## completed ## ]]"].join("\n\n");
}
