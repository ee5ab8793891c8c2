import {
  create,
  createRegistry,
  type DescFile,
  type DescService,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectRouter } from "@connectrpc/connect";
import { file_google_rpc_error_details } from "../../gen/google/rpc/error_details_pb.ts";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import {
  type ServerReflectionRequest,
  ServerReflectionResponseSchema,
  ServerReflection as V1,
} from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as V1Alpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";

import { maxReflectionBytes } from "./limits.ts";

type Answer = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"]>;

/**
 * Server reflection, v1 and v1alpha: the services, and every type they use, error details included.
 */
export function reflectionRoutes(services: readonly DescService[]): (router: ConnectRouter) => void {
  const shown = [...services, Health, V1, V1Alpha];
  const files = new Map<string, DescFile>();
  const add = (file: DescFile): void => {
    if (files.has(nameOf(file))) return;
    files.set(nameOf(file), file);
    file.dependencies.forEach(add);
  };
  for (const { file } of shown) add(file);
  add(file_google_rpc_error_details);
  const registry = createRegistry(...files.values());
  const extensions = [...registry].filter((type) => type.kind === "extension");

  /** Finds the file of a symbol. A method, field or enum value is found by its enclosing type. */
  function fileOf(symbol: string): DescFile | undefined {
    for (
      let name = symbol.replace(/^\./, "");
      name !== "";
      name = name.slice(0, Math.max(name.lastIndexOf("."), 0))
    ) {
      const type = registry.get(name);
      if (type) return type.file;
    }
    return undefined;
  }

  /** The requested file, and its dependencies that were not sent on this stream yet. */
  function withDependencies(file: DescFile | undefined, requested: string, sent: Set<DescFile>): Answer {
    if (!file) return failure(Code.NotFound, `unknown symbol or file ${requested}`);
    const needed = new Set([file]);
    for (const file of needed)
      for (const dependency of file.dependencies) if (!sent.has(dependency)) needed.add(dependency);
    for (const file of needed) sent.add(file);
    const fileDescriptorProto = [...needed].map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto));
    return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
  }

  function answer({ messageRequest: requested }: ServerReflectionRequest, sent: Set<DescFile>): Answer {
    switch (requested.case) {
      case "listServices":
        return {
          case: "listServicesResponse",
          value: { service: shown.map(({ typeName }) => ({ name: typeName })) },
        };
      case "fileByFilename":
        return withDependencies(files.get(requested.value), requested.value, sent);
      case "fileContainingSymbol":
        return withDependencies(fileOf(requested.value), requested.value, sent);
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = requested.value;
        const found = extensions.find(
          ({ extendee, number }) => extendee.typeName === containingType && number === extensionNumber,
        );
        return withDependencies(found?.file, `extension ${extensionNumber} of ${containingType}`, sent);
      }
      case "allExtensionNumbersOfType": {
        const ofType = extensions.filter(({ extendee }) => extendee.typeName === requested.value);
        const extensionNumber = ofType.map(({ number }) => number);
        return {
          case: "allExtensionNumbersResponse",
          value: { baseTypeName: requested.value, extensionNumber },
        };
      }
      default:
        return failure(
          Code.InvalidArgument,
          "message_request is required; expected one of its fields, such as list_services",
        );
    }
  }

  async function* serverReflectionInfo(requests: AsyncIterable<ServerReflectionRequest>) {
    const sent = new Set<DescFile>();
    for await (const request of requests) {
      const { host: validHost } = request;
      yield create(ServerReflectionResponseSchema, {
        validHost,
        originalRequest: request,
        messageResponse: answer(request, sent),
      });
    }
  }

  const limits = { readMaxBytes: maxReflectionBytes };
  return (router) => {
    router.service(V1, { serverReflectionInfo }, limits);
    // v1alpha has the same messages under other names.
    router.rpc(V1Alpha.method.serverReflectionInfo, serverReflectionInfo as never, limits);
  };
}

/** The name of a file in import statements. */
const nameOf = (file: DescFile) => file.proto.name;

function failure(errorCode: Code, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}
