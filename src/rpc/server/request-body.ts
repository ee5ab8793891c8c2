import { Cancelled, TooLarge } from "../../domain/faults.ts";
import type { Hold } from "./budget.ts";
import type { RequestBody } from "./drain.ts";
import { requestsOverloaded } from "./overload.ts";

/** Head of a message: a byte of flags, and the length in four bytes. */
export const headBytes = 5;

type Wanted = {
  body: RequestBody;
  contentLength: string | undefined;
  /** Whether the message has a head. */
  isEnveloped: boolean;
  maxBytes: number;
  hold: Hold;
};

/**
 * Reads a body up to its end. Rejects as soon as the message is known to be too large, or if the
 * memory is full. A body that is late has no time-out here: its call has one, and closes it.
 */
export function readBody({ body, contentLength, isEnveloped, maxBytes, hold }: Wanted): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const maxBodyBytes = maxBytes + (isEnveloped ? headBytes : 0);
    const parts: Buffer[] = [];
    let head = Buffer.alloc(0);
    let received = 0;

    function stop(): void {
      body.off("data", onData).off("end", onEnd).off("close", onClose);
    }
    function refuse(fault: Error): void {
      stop();
      reject(fault);
    }
    function onData(chunk: Buffer): void {
      received += chunk.length;
      if (isEnveloped && head.length < headBytes)
        head = Buffer.concat([head, chunk.subarray(0, headBytes - head.length)]);
      const told = head.length === headBytes ? head.readUInt32BE(1) : 0;
      if (told > maxBytes) refuse(tooLarge(told, maxBytes));
      else if (received > maxBodyBytes) refuse(tooLarge(received, maxBytes));
      else if (!hold.take(chunk.length)) refuse(requestsOverloaded());
      else parts.push(chunk);
    }
    function onEnd(): void {
      stop();
      resolve(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts));
    }
    function onClose(): void {
      refuse(new Cancelled("the call was cancelled"));
    }

    if (Number(contentLength) > maxBodyBytes) refuse(tooLarge(Number(contentLength), maxBytes));
    else if (body.destroyed) onClose();
    else body.on("data", onData).once("end", onEnd).once("close", onClose);
  });
}

const tooLarge = (bytes: number, maxBytes: number) =>
  new TooLarge(`the message has ${bytes} bytes or more; the maximum is ${maxBytes}`);
