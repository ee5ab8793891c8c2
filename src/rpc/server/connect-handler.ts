import type {
  UniversalHandler,
  UniversalServerRequest,
  UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import type { Logger } from "../../telemetry.ts";
import { arrived, callFault, connectErrorOf } from "../faults.ts";
import type { Boundary } from "./boundary.ts";
import type { Budget, Hold } from "./budget.ts";
import type { CallMemory } from "./call-memory.ts";
import { clampTimeout } from "./caller-timeout.ts";
import { type ConnectCall, callOf } from "./connect-calls.ts";
import { errorIn } from "./decode-errors.ts";
import { connectionOf, drain } from "./drain.ts";
import { collected, heldChunks, inPieces } from "./held-answer.ts";
import { answersOverloaded, ownStreamsOverloaded } from "./overload.ts";
import { bodyOf, createPlainRequests } from "./plain-request.ts";
import { refuse } from "./refusal.ts";
import { withoutParameters } from "./request-protocol.ts";
import { answerUnexpected, isUnexpected } from "./unexpected-request.ts";

type Deps = { memory: CallMemory; boundary: Boundary; log: Logger };

/**
 * Wraps Connect's handler of a method. It gets each request read and unpacked, within the port's
 * limits. Whatever fails before the answer begins is thrown, and is answered in one place.
 */
export function createConnectHandlers({ memory, boundary, log }: Deps) {
  const readPlain = createPlainRequests(memory);

  return (connect: UniversalHandler): UniversalHandler => {
    const { method, service } = connect;
    const rpc = `${service.typeName}/${method.name}`;
    const isBidi = method.methodKind === "bidi_streaming";
    const isOwnStream = service.typeName.startsWith("grpc.") && method.methodKind !== "unary";

    async function answer(
      request: UniversalServerRequest,
      call: ConnectCall,
    ): Promise<UniversalServerResponse> {
      if (isUnexpected(request, connect)) return answerUnexpected(request, connect, call.body, boundary);
      if (isOwnStream && !holdOf(memory.ownStreams, call).take(1)) throw ownStreamsOverloaded();
      const plain = await readPlain(request, connect, call.body, holdOf(memory.requests, call));
      call.open.received();
      const response = await connect(plain);
      const hold = holdOf(memory.answers, call);
      const hasArrived = request.contextValues?.get(arrived);
      if (isBidi || (hasArrived && method.methodKind !== "unary"))
        return { ...response, body: heldChunks(response.body ?? [], hold, call.body) };
      const bytes = await collected(response.body ?? []);
      const error = hasArrived ? undefined : errorIn(response, bytes);
      if (error) throw error;
      if (!hold.take(bytes.length)) throw answersOverloaded();
      return { ...response, body: bodyOf(bytes) };
    }

    async function answerOrDrain(request: UniversalServerRequest, call: ConnectCall) {
      try {
        return await answer(request, call);
      } catch (error) {
        await drain(call.body, boundary);
        throw error;
      }
    }

    async function handle(request: UniversalServerRequest): Promise<UniversalServerResponse> {
      const call = callOf(request.contextValues);
      clampTimeout(request.header);
      const contentType = withoutParameters(request.header.get("content-type") ?? "");
      if (contentType) request.header.set("content-type", contentType);
      // An overdue call is answered at once, although its body has not arrived.
      const response = await call.overdue
        .unless(answerOrDrain(request, call))
        .catch((error) => refuse(connect, request, connectErrorOf(callFault(error, rpc, log))));
      return { ...response, body: inPieces(response.body ?? [], call, boundary) };
    }
    return Object.assign(handle, connect);
  };
}

/** Begins to hold something for a call, up to its end. */
function holdOf(budget: Budget, { body, response }: ConnectCall): Hold {
  const hold = budget(connectionOf(body));
  response.once("close", hold.release);
  return hold;
}
