import {
  create,
  type DescMessage,
  type DescMethodBiDiStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientUnaryCall,
  connectivityState,
  credentials,
  Metadata,
} from "@grpc/grpc-js";

/** The time-out of a call, and a signal that cancels it. */
export type CallLimits = { readonly timeoutMs: number; readonly signal?: AbortSignal };

export type Channel = {
  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    limits: CallLimits,
  ): Promise<MessageShape<O>>;
  /**
   * Flow control: reads no faster than the caller iterates. Leaving the iteration cancels the call.
   */
  stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    limits: CallLimits,
  ): AsyncGenerator<MessageShape<O>>;
  /** A call that lives until one side ends it. The caller writes encoded messages. */
  duplex<I extends DescMessage, O extends DescMessage>(
    method: DescMethodBiDiStreaming<I, O>,
  ): ClientDuplexStream<Uint8Array, MessageShape<O>>;
  /** Resolves when the connection is lost or the channel is closed. */
  disconnected(): Promise<void>;
  close(): void;
};

export const mebibyte = 2 ** 20;
/** Maximum size of a request, in bytes. The sidecar takes messages of twice that. */
export const maxRequestBytes = 16 * mebibyte;

/**
 * A grpc-js channel for protobuf-es messages, which lives as long as the process. While nothing
 * listens at the target, calls fail at once.
 */
export function createChannel(target: string, token?: string): Channel {
  const client = new Client(target, credentials.createInsecure(), {
    "grpc.max_send_message_length": maxRequestBytes,
    "grpc.max_receive_message_length": 32 * mebibyte,
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1_000,
    "grpc.service_config_disable_resolution": 1,
    // The sidecar is never behind the proxy that leads to the models' providers.
    "grpc.enable_http_proxy": 0,
  });
  const metadata = () => {
    const sent = new Metadata();
    if (token !== undefined) sent.set("authorization", `Bearer ${token}`);
    return sent;
  };
  const path = (method: { parent: { typeName: string }; name: string }) =>
    `/${method.parent.typeName}/${method.name}`;
  const writer =
    <T extends DescMessage>(schema: T) =>
    (message: MessageShape<T>) => {
      const bytes = toBinary(schema, message);
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    };
  const reader =
    <T extends DescMessage>(schema: T) =>
    (bytes: Buffer) =>
      fromBinary(schema, bytes);
  const deadline = ({ timeoutMs }: CallLimits) => ({ deadline: Date.now() + timeoutMs });

  return {
    unary: (method, request, limits) =>
      new Promise((resolve, reject) => {
        const call: ClientUnaryCall = client.makeUnaryRequest(
          path(method),
          writer(method.input),
          reader(method.output),
          create(method.input, request),
          metadata(),
          deadline(limits),
          (error, response) => {
            limits.signal?.removeEventListener("abort", cancel);
            if (error) reject(error);
            else resolve(response as MessageShape<typeof method.output>);
          },
        );
        const cancel = () => call.cancel();
        limits.signal?.addEventListener("abort", cancel, { once: true });
        if (limits.signal?.aborted) cancel();
      }),

    async *stream(method, request, limits) {
      const call: ClientReadableStream<MessageShape<typeof method.output>> = client.makeServerStreamRequest(
        path(method),
        writer(method.input),
        reader(method.output),
        create(method.input, request),
        metadata(),
        deadline(limits),
      );
      const cancel = () => call.cancel();
      limits.signal?.addEventListener("abort", cancel, { once: true });
      if (limits.signal?.aborted) cancel();
      try {
        yield* call as AsyncIterable<MessageShape<typeof method.output>>;
      } finally {
        limits.signal?.removeEventListener("abort", cancel);
        if (!call.readableEnded) call.cancel();
      }
    },

    duplex: (method) =>
      client.makeBidiStreamRequest(
        path(method),
        (bytes: Uint8Array) => bytes as Buffer,
        reader(method.output),
        metadata(),
      ),

    disconnected: () =>
      new Promise((resolve) => {
        const channel = client.getChannel();
        if (channel.getConnectivityState(false) !== connectivityState.READY) resolve();
        else
          channel.watchConnectivityState(connectivityState.READY, Number.POSITIVE_INFINITY, () => resolve());
      }),

    close: () => client.close(),
  };
}
