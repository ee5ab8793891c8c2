import { setTimeout as sleep } from "node:timers/promises";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { ClientDuplexStream } from "@grpc/grpc-js";
import { Cancelled, Fault, SidecarUnavailable } from "../domain/faults.ts";
import {
  type Done,
  type RunCommandSchema,
  type RunEvent,
  RunProgramsRequestSchema,
  type RunProgramsResponse,
  type RunSchema,
  SidecarService,
} from "../gen/sigrun/sidecar/v1/sidecar_service_pb.ts";
import { type Channel, maxRequestBytes, mebibyte } from "./channel.ts";
import { faultOfFailure, NotStarted, requestTooLarge } from "./faults.ts";

/** An event of a run before its end. */
export type RunProgress = Extract<RunEvent["event"], { case: "trace" | "chunk" | "reset" }>;

export type Session = {
  /**
   * Runs a program. Events come in order. While the promise for a chunk is pending, flow control
   * pauses the model's stream. The run has no time limit of its own: the signal alone ends it
   * early, with the signal's reason.
   */
  run(
    request: MessageInitShape<typeof RunSchema>,
    onEvent: (event: RunProgress) => Promise<void> | undefined,
    signal: AbortSignal,
  ): Promise<Done>;
  close(): void;
};

/**
 * Time that the sidecar gets to tell what a cancelled run has spent. A worker answers at once,
 * unless it hangs.
 */
const maxFarewellMs = 100;
/** Size at which a message is full: further commands go into the next one. */
const batchBytes = 4 * mebibyte;

/**
 * The runs on one worker. All share one call, which is opened if there is none. Commands of one
 * turn of the event loop share a message.
 */
export function createSession(channel: Pick<Channel, "duplex">): Session {
  type Receiver = {
    receive(event: RunEvent["event"]): void;
    fail(error: Error): void;
    isSent: boolean;
  };
  const runs = new Map<number, Receiver>();
  let call: ClientDuplexStream<Uint8Array, RunProgramsResponse> | undefined;
  let unsent: Uint8Array[] = [];
  let unsentRuns: Receiver[] = [];
  let lastNumber = 0;

  function open() {
    const opened = channel.duplex(SidecarService.method.runPrograms);
    let cause: unknown;
    opened.on("data", ({ events }: RunProgramsResponse) => {
      for (const { run, event } of events) runs.get(run)?.receive(event);
    });
    opened.on("error", (error) => {
      cause = error;
    });
    // "end" comes after all events, with an error or without.
    opened.on("end", () => {
      call = undefined;
      unsent = [];
      unsentRuns = [];
      for (const run of [...runs.values()])
        run.fail(run.isSent ? new SidecarUnavailable(undefined, cause) : new NotStarted(undefined, cause));
    });
    return opened;
  }

  function send(bytes: Uint8Array): void {
    if (unsent.push(bytes) === 1) setImmediate(flush);
  }

  function flush(): void {
    if (unsent.length === 0) return;
    const current = call ?? open();
    call = current;
    let batch: Uint8Array[] = [];
    let size = 0;
    for (const bytes of unsent) {
      if (size > 0 && size + bytes.length > batchBytes) {
        current.write(Buffer.concat(batch));
        batch = [];
        size = 0;
      }
      batch.push(bytes);
      size += bytes.length;
    }
    unsent = [];
    for (const run of unsentRuns) run.isSent = true;
    unsentRuns = [];
    // Concatenated messages are one message, which has the commands of all.
    current.write(Buffer.concat(batch));
  }

  return {
    run: (request, onEvent, signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(reasonOf(signal));
        lastNumber = (lastNumber + 1) >>> 0;
        const number = lastNumber;
        const start = encode(number, { case: "start", value: request });
        if (start.length > maxRequestBytes) throw requestTooLarge();

        const onAbort = () => giveUp(reasonOf(signal));
        signal.addEventListener("abort", onAbort, { once: true });
        /** Resolves when the caller has taken all chunks so far. */
        let delivered: Promise<void> | undefined;
        let givenUp: Error | undefined;

        function settle(): void {
          runs.delete(number);
          signal.removeEventListener("abort", onAbort);
        }
        function fail(error: Error): void {
          settle();
          reject(error);
        }
        /** Cancels the run, and waits for its last trace. */
        function giveUp(error: Error): void {
          if (givenUp || !runs.has(number)) return;
          givenUp = error;
          send(encode(number, { case: "cancel", value: {} }));
          sleep(maxFarewellMs).then(() => fail(error));
        }
        /** Flow control: the sidecar may send one chunk more. */
        function acknowledge(): void {
          if (!givenUp && runs.has(number)) send(encode(number, { case: "taken", value: 1 }));
        }
        function afterChunks(end: () => void): void {
          if (delivered) delivered.then(end, giveUp);
          else end();
        }

        const receiver: Receiver = {
          isSent: false,
          fail,
          receive(event) {
            if (event.case === "trace") onEvent(event);
            else if (givenUp) {
              if (event.case === "done" || event.case === "failure") fail(givenUp);
            } else if (event.case === "done") {
              const done = event.value;
              afterChunks(() => {
                settle();
                resolve(done);
              });
            } else if (event.case === "failure") {
              const fault = faultOfFailure(event.value);
              afterChunks(() => fail(fault));
            } else if (event.case === "chunk" || event.case === "reset") {
              delivered = (delivered ?? Promise.resolve()).then(() => onEvent(event));
              if (event.case === "chunk") delivered = delivered.then(acknowledge);
              delivered.catch(giveUp);
            }
          },
        };
        runs.set(number, receiver);
        unsentRuns.push(receiver);
        send(start);
      }),

    close: () => call?.cancel(),
  };
}

type Command = Exclude<MessageInitShape<typeof RunCommandSchema>["command"], undefined>;

const encode = (run: number, command: Command) =>
  toBinary(RunProgramsRequestSchema, create(RunProgramsRequestSchema, { commands: [{ run, command }] }));

const reasonOf = ({ reason }: AbortSignal): Error => (reason instanceof Fault ? reason : new Cancelled());
