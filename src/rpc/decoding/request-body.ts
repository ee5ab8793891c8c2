import type { DescMethod, Message } from "@bufbuild/protobuf";
import { createContextKey, type Interceptor } from "@connectrpc/connect";
import type { UniversalHandler, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { checkBounds } from "../bounds.ts";
import { type BodyForm, formOf } from "./body-form.ts";
import { decodeLarge, largeBytes } from "./decode.ts";

type Decoded = { readonly message: Message } | { readonly error: unknown };

/** The large message of a call, decoded, or the error of decoding it. */
const decodedKey = createContextKey<Decoded | undefined>(undefined);

/**
 * Has Connect read an empty message in place of a large one, which `decode.ts` reads. The
 * interceptor `takeDecoded` then puts the large one into the call.
 */
export function decodeLargeBodies(handler: UniversalHandler, maxBytes: number): UniversalHandler {
  const { method } = handler;
  if (method.methodKind !== "unary" && method.methodKind !== "server_streaming") return handler;

  function handle(request: UniversalServerRequest): ReturnType<UniversalHandler> {
    const { body, contextValues } = request;
    const form = formOf(request.header);
    const length = Number(request.header.get("content-length") ?? Number.NaN);
    const isSmall = length <= largeBytes && form?.compression === undefined;
    if (!form || !contextValues || !isBytes(body) || isSmall || length > maxBytes) return handler(request);
    // Connect would compare it with the bytes that it reads.
    const header = new Headers(request.header);
    header.delete("content-length");
    const keep = (decoded: Decoded) => contextValues.set(decodedKey, decoded);
    return handler({ ...request, header, body: replaceLarge(body, form, method, maxBytes, keep) });
  }
  return Object.assign(handle, handler);
}

async function* replaceLarge(
  body: AsyncIterable<Uint8Array>,
  form: BodyForm,
  { input }: DescMethod,
  maxBytes: number,
  keep: (decoded: Decoded) => void,
): AsyncIterable<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let received = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    received += chunk.length;
    // Connect refuses it, as soon as it has read this.
    if (received > maxBytes + form.headBytes) yield* chunks.splice(0);
  }
  const whole = Buffer.concat(chunks);
  const message = await form.messageIn(whole, maxBytes);
  if (message === undefined || message.length <= largeBytes) {
    if (whole.length > 0) yield whole;
    return;
  }
  try {
    keep({ message: await decodeLarge(input, message, form.format) });
  } catch (error) {
    keep({ error });
  }
  yield await form.emptyBody();
}

const isBytes = (body: UniversalServerRequest["body"]): body is AsyncIterable<Uint8Array> =>
  typeof body === "object" && body !== null && Symbol.asyncIterator in body;

/** Checks the bounds of each request, and gives a method the large one that Connect did not see. */
export const takeDecoded: Interceptor = (next) => (request) => {
  function take<T extends Message>(message: T): T {
    const decoded = request.contextValues.get(decodedKey);
    if (decoded && "error" in decoded) throw decoded.error;
    const taken = decoded ? (decoded.message as T) : message;
    checkBounds(request.method.input, taken);
    return taken;
  }
  async function* takeEach<T extends Message>(messages: AsyncIterable<T>): AsyncIterable<T> {
    for await (const message of messages) yield take(message);
  }
  return request.stream
    ? next({ ...request, message: takeEach(request.message) })
    : next({ ...request, message: take(request.message) });
};
