import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ExecutionService } from "../src/gen/sigrun/v1/execution_service_pb.ts";
import { ProgramService } from "../src/gen/sigrun/v1/program_service_pb.ts";

const limits = { timeoutMs: 10_000 };

/**
 * Makes calls of all kinds: raw sockets, HTTP/1.1, HTTP/2, gRPC and streams. The three runs ask the
 * question. Any call may fail.
 */
export async function makeEveryCall(url: string, programId: string, question = "?"): Promise<void> {
  const inputs = { question };
  const { hostname, port } = new URL(url);
  const grpc = createGrpcTransport({ baseUrl: url });
  const programs = createClient(ProgramService, grpc);
  const sockets: Socket[] = [];
  const openRaw = async (...bytes: string[]) => {
    const socket = connect(Number(port), hostname);
    sockets.push(socket);
    socket.on("error", () => {});
    await once(socket, "connect");
    for (const part of bytes) socket.write(Buffer.from(part, "latin1"));
    return socket;
  };
  const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
  const session = connectHttp2(url).on("error", () => {});
  /** Sends the head of a message that is too large. */
  const sendTooLarge = async () => {
    const path = "/sigrun.v1.ProgramService/GetProgram";
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.on("error", () => {}).resume();
    stream.write(Buffer.from([0, 0x7f, 0xff, 0xff, 0xff]));
    await once(stream, "close");
  };
  const readAll = async (events: AsyncIterable<unknown>) => {
    for await (const _ of events);
  };
  await Promise.allSettled([
    openRaw(),
    openRaw(preface),
    // A ping of one byte, which ends the session with an error.
    openRaw(preface, "\0\0\x01\x06\0\0\0\0\0\0"),
    openRaw(
      "POST /sigrun.v1.ProgramService/ListPrograms HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n",
      // The rest of the body never comes.
      "connect-timeout-ms: 50\r\ncontent-length: 9\r\n\r\n{",
    ).then((socket) => once(socket.resume(), "close")),
    openRaw("GET / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n").then((socket) =>
      once(socket.resume(), "close"),
    ),
    openRaw("GET / HTTP/1.1\r\n\r\n").then((socket) => socket.resetAndDestroy()),
    fetch(url),
    fetch(`${url}/grpc.health.v1.Health/Check`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    }),
    Promise.race([sendTooLarge(), once(session, "close")]),
    programs.executeProgram({ programId, inputs }, limits),
    readAll(programs.streamProgram({ programId, inputs }, limits)),
    readAll(programs.batchExecuteProgram({ programId, items: [{ inputs }] }, limits)),
    readAll(createClient(ExecutionService, grpc).watchExecutions({}, { timeoutMs: 300 })),
  ]);
  session.destroy();
  for (const socket of sockets) socket.destroy();
}
