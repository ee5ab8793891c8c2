import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { ClientDuplexStream } from "@grpc/grpc-js";
import { Cancelled, DeadlineExceeded, Fault, SidecarUnavailable, TooLarge } from "../domain/faults.ts";
import {
  type Done,
  type RunCommandSchema,
  type RunEvent,
  RunProgramsRequestSchema,
  type RunProgramsResponse,
  type RunSchema,
  SidecarService,
} from "../gen/sigrun/sidecar/v1/sidecar_service_pb.ts";
import type { CallLimits, Channel } from "./channel.ts";
import { faultOfFailure } from "./faults.ts";

/** What is told of a run before its end. */
export type Told = Extract<RunEvent["event"], { case: "trace" | "chunk" | "reset" }>;

export type Session = {
  /**
   * Runs a program. What is told of it comes in order; the model waits while a chunk is waited for.
   */
  run(
    asked: MessageInitShape<typeof RunSchema>,
    onTold: (told: Told) => Promise<void> | undefined,
    limits: CallLimits,
  ): Promise<Done>;
  close(): void;
};

const mebibyte = 2 ** 20;
/** Of one command; the sidecar takes twice that in a message. */
const mostBytes = 16 * mebibyte;
const batchBytes = 4 * mebibyte;

/**
 * The runs on one worker, side by side on one call, which is opened when there is none. What comes
 * up in one turn goes together.
 */
export function createSession(channel: Pick<Channel, "duplex">): Session {
  type Run = { take(event: RunEvent["event"]): void; fail(error: Error): void };
  const runs = new Map<number, Run>();
  let call: ClientDuplexStream<Uint8Array, RunProgramsResponse> | undefined;
  let waiting: Uint8Array[] = [];
  let last = 0;

  function open() {
    const opened = channel.duplex(SidecarService.method.runPrograms);
    let cause: unknown;
    opened.on("data", ({ events }: RunProgramsResponse) => {
      for (const { run, event } of events) runs.get(run)?.take(event);
    });
    opened.on("error", (error) => {
      cause = error;
    });
    // Comes after all that was told, with an error or without.
    opened.on("end", () => {
      call = undefined;
      waiting = [];
      for (const run of [...runs.values()]) run.fail(new SidecarUnavailable(undefined, cause));
    });
    return opened;
  }

  function send(bytes: Uint8Array): void {
    if (waiting.push(bytes) === 1) setImmediate(flush);
  }

  function flush(): void {
    if (waiting.length === 0) return;
    const to = call ?? open();
    call = to;
    let batch: Uint8Array[] = [];
    let size = 0;
    for (const bytes of waiting) {
      if (size > 0 && size + bytes.length > batchBytes) {
        to.write(Buffer.concat(batch));
        batch = [];
        size = 0;
      }
      batch.push(bytes);
      size += bytes.length;
    }
    waiting = [];
    // Messages one after the other are one message, whose commands are those of all.
    to.write(Buffer.concat(batch));
  }

  return {
    run: (asked, onTold, { timeoutMs, signal }) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(reasonOf(signal));
        last = (last + 1) >>> 0;
        const number = last;
        const start = encode(number, { case: "start", value: asked });
        if (start.length > mostBytes)
          throw new TooLarge("the program and its values are larger than the sidecar takes (16 MiB)");

        const timer = setTimeout(() => giveUp(new DeadlineExceeded()), timeoutMs);
        const leave = () => giveUp(reasonOf(signal as AbortSignal));
        signal?.addEventListener("abort", leave, { once: true });
        let handedOn: Promise<void> | undefined;

        function settle(): void {
          runs.delete(number);
          clearTimeout(timer);
          signal?.removeEventListener("abort", leave);
        }
        function fail(error: Error): void {
          settle();
          reject(error);
        }
        function giveUp(error: Error): void {
          if (runs.has(number)) send(encode(number, { case: "cancel", value: {} }));
          fail(error);
        }
        function after(end: () => void): void {
          if (handedOn) handedOn.then(end, giveUp);
          else end();
        }

        runs.set(number, {
          fail,
          take(event) {
            if (event.case === "done") {
              const done = event.value;
              after(() => {
                settle();
                resolve(done);
              });
            } else if (event.case === "failure") {
              const fault = faultOfFailure(event.value);
              after(() => fail(fault));
            } else if (event.case === "chunk" || event.case === "reset") {
              handedOn = (handedOn ?? Promise.resolve()).then(() => onTold(event));
              if (event.case === "chunk")
                handedOn = handedOn
                  .then(() => runs.has(number) && send(encode(number, { case: "taken", value: 1 })))
                  .then(() => {});
              handedOn.catch(giveUp);
            } else if (event.case === "trace") onTold(event);
          },
        });
        send(start);
      }),

    close: () => call?.cancel(),
  };
}

type Command = Exclude<MessageInitShape<typeof RunCommandSchema>["command"], undefined>;

const encode = (run: number, command: Command) =>
  toBinary(RunProgramsRequestSchema, create(RunProgramsRequestSchema, { commands: [{ run, command }] }));

const reasonOf = ({ reason }: AbortSignal): Error => (reason instanceof Fault ? reason : new Cancelled());
