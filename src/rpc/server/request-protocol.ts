/** What the content type of a request says of its protocol. */
export type RequestProtocol = {
  /** Whether each message has a head. */
  readonly isEnveloped: boolean;
  /** Names of the headers for the messages' encoding, and for the encodings the caller accepts. */
  readonly encoding: string;
  readonly acceptEncoding: string;
};

const grpc: RequestProtocol = {
  isEnveloped: true,
  encoding: "grpc-encoding",
  acceptEncoding: "grpc-accept-encoding",
};
const connectStream: RequestProtocol = {
  isEnveloped: true,
  encoding: "connect-content-encoding",
  acceptEncoding: "connect-accept-encoding",
};
const connectUnary: RequestProtocol = {
  isEnveloped: false,
  encoding: "content-encoding",
  acceptEncoding: "accept-encoding",
};

export function protocolOf(contentType: string): RequestProtocol {
  if (contentType.startsWith("application/grpc")) return grpc;
  return contentType.startsWith("application/connect+") ? connectStream : connectUnary;
}

/**
 * Removes the parameters of a content type, most of which Connect refuses. A charset other than
 * UTF-8 stays, so that it is refused.
 */
export function withoutParameters(contentType: string): string {
  const [type, ...parameters] = contentType.split(";").map((part) => part.trim().toLowerCase());
  const charset = parameters.find((parameter) => /^charset\s*=/.test(parameter));
  return charset === undefined || /^charset\s*=\s*"?utf-?8"?$/.test(charset) ? (type as string) : contentType;
}
