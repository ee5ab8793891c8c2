import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/**
 * The model's answer to one request: fields in ChatAdapter's form, plain text, an HTTP error, or
 * none. Fields may wait for a promise.
 */
export type Reply =
  /**
   * If the answer is streamed, `piece` is the number of characters in a chunk, by default 7, and
   * the stream falls silent after `pieces` chunks, by default never. `finish` is the finish_reason,
   * by default "stop".
   */
  | { fields: Record<string, unknown>; after?: Promise<unknown>; piece?: number; pieces?: number }
  | { text: string; finish?: string; piece?: number }
  | { status: number; error: object; headers?: Record<string, string> }
  | { hang: true };

export type Asked = { messages: { role: string; content: string }[]; [key: string]: unknown };

export type ScriptedModel = {
  readonly url: string;
  /** The bodies of the requests, oldest first. */
  readonly requests: Asked[];
  /** Number of requests that the client aborted. */
  aborted(): number;
  /** When the client aborted a request for the last time, on performance.now()'s clock. */
  abortedAt(): number;
  /** Maximum number of requests in flight at the same time, since the last call of script(). */
  most(): number;
  /** Number of chunks that were streamed. */
  sent(): number;
  /** Sets the replies to the next requests, one each; the last one repeats. */
  script(...replies: Reply[]): void;
  /** Sets a function that replies to each of the next requests. */
  answer(by: (asked: Asked) => Reply): void;
  close(): void;
};

const usage = { prompt_tokens: 30, completion_tokens: 12, total_tokens: 42 };

/** An OpenAI-compatible server whose replies a test sets. */
export async function startModel(): Promise<ScriptedModel> {
  const requests: ScriptedModel["requests"] = [];
  let replies: Reply[] = [{ fields: { answer: "Paris", confidence: 0.9, sources: ["atlas"] } }];
  let by: ((asked: Asked) => Reply) | undefined;
  let aborted = 0;
  let abortedAt = Number.NEGATIVE_INFINITY;
  let inFlight = 0;
  let most = 0;
  let sent = 0;

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const asked = JSON.parse(Buffer.concat(parts).toString());
    requests.push(asked);
    inFlight += 1;
    most = Math.max(most, inFlight);
    response.on("close", () => {
      inFlight -= 1;
      if (response.writableFinished) return;
      aborted += 1;
      abortedAt = performance.now();
    });
    const reply = by ? by(asked) : ((replies.length > 1 ? replies.shift() : replies[0]) as Reply);
    if ("hang" in reply) return;
    response.setHeader("content-type", "application/json");
    if ("status" in reply) {
      response.writeHead(reply.status, reply.headers);
      response.end(JSON.stringify({ error: reply.error }));
      return;
    }
    if ("after" in reply) await reply.after;
    const content = "text" in reply ? reply.text : chat(reply.fields);
    const finish = ("finish" in reply && reply.finish) || "stop";
    if (asked.stream) {
      const { piece = 7 } = "piece" in reply ? reply : {};
      const { pieces = Number.POSITIVE_INFINITY } = "pieces" in reply ? reply : {};
      await stream(response, content, { piece, pieces, finish });
      return;
    }
    const choices = [{ index: 0, finish_reason: finish, message: { role: "assistant", content } }];
    response.end(
      JSON.stringify({ id: "1", object: "chat.completion", created: 1, model: "scripted", choices, usage }),
    );
  }

  /** Sends server-sent events, no faster than the client reads. */
  async function stream(
    response: ServerResponse,
    content: string,
    { piece, pieces, finish }: { piece: number; pieces: number; finish: string },
  ): Promise<void> {
    response.setHeader("content-type", "text/event-stream");
    const send = async (part: object) => {
      const event = { id: "1", object: "chat.completion.chunk", created: 1, model: "scripted", ...part };
      if (!response.write(`data: ${JSON.stringify(event)}\n\n`) && !response.closed) await writable(response);
      sent += 1;
    };
    for (let at = 0; at < content.length && !response.closed; at += piece) {
      if (at / piece >= pieces) return;
      await send({
        choices: [{ index: 0, delta: { content: content.slice(at, at + piece) }, finish_reason: null }],
      });
    }
    await send({ choices: [{ index: 0, delta: {}, finish_reason: finish }] });
    await send({ choices: [], usage });
    response.end("data: [DONE]\n\n");
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
    abortedAt: () => abortedAt,
    most: () => most,
    sent: () => sent,
    script: (...next) => {
      most = 0;
      by = undefined;
      replies = next;
    },
    answer: (next) => {
      by = next;
    },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Resolves when the response accepts more, or is closed. */
function writable(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off("drain", done).off("close", done);
      resolve();
    };
    response.on("drain", done).on("close", done);
  });
}

function chat(fields: Record<string, unknown>): string {
  const parts = Object.entries(fields).map(
    ([name, value]) => `[[ ## ${name} ## ]]\n${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  return [...parts, "[[ ## completed ## ]]"].join("\n\n");
}
