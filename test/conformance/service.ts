import { setTimeout as sleep } from "node:timers/promises";
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  type FileRegistry,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import { type Any, anyPack } from "@bufbuild/protobuf/wkt";
import { type Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";

type Header = { name: string; value: string[] };
type Failure = { code: Code; message?: string; details: Any[] };
type Definition = {
  responseHeaders: Header[];
  responseTrailers: Header[];
  responseDelayMs: number;
  response:
    | { case: "responseData"; value: Uint8Array }
    | { case: "error"; value: Failure }
    | { case: undefined; value?: undefined };
};
type UnaryRequest = Message & { responseDefinition?: Definition };

/** Unary methods of the conformance service: each sends the defined answer, and echoes the call. */
export function conformanceMethods(
  registry: FileRegistry,
  service: DescService,
): Partial<ServiceImpl<DescService>> {
  const infoType = registry.getMessage(
    "connectrpc.conformance.v1.ConformancePayload.RequestInfo",
  ) as DescMessage;

  function infoOf(method: DescMethod, request: Message, context: HandlerContext): Message {
    const timeoutMs = context.timeoutMs();
    return create(infoType, {
      requestHeaders: [...context.requestHeader].map(([name, value]) => ({ name, value: [value] })),
      ...(timeoutMs !== undefined && { timeoutMs: BigInt(Math.ceil(timeoutMs)) }),
      requests: [anyPack(method.input, request)],
    } as never);
  }

  async function unary(request: Message, context: HandlerContext) {
    const { responseDefinition: definition } = request as UnaryRequest;
    const info = infoOf(context.method, request, context);
    for (const { name, value } of definition?.responseHeaders ?? [])
      for (const one of value) context.responseHeader.append(name, one);
    for (const { name, value } of definition?.responseTrailers ?? [])
      for (const one of value) context.responseTrailer.append(name, one);
    if (definition?.responseDelayMs) await sleep(definition.responseDelayMs);
    if (definition?.response.case !== "error")
      return { payload: { data: definition?.response.value, requestInfo: info } };
    const { code, message, details } = definition.response.value;
    const error = new ConnectError(message ?? "", code);
    for (const { typeUrl, value } of details)
      error.details.push({ type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1), value });
    error.details.push({ type: infoType.typeName, value: toBinary(infoType, info) });
    throw error;
  }

  return Object.fromEntries(
    service.methods
      .filter(({ localName }) => /unary$/i.test(localName))
      .map(({ localName }) => [localName, unary]),
  ) as never;
}
