import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Trace, Values } from "../domain/execution.ts";
import { SidecarUnavailable } from "../domain/faults.ts";
import type { Metric } from "../domain/optimization.ts";
import type { Definition, LmSettings } from "../domain/program.ts";
import { type RunProgramRequestSchema, SidecarService, type Trace as TraceMessage } from "../gen/sigrun/sidecar/v1/sidecar_service_pb.ts";
import type { Logger } from "../telemetry.ts";
import { type CallLimits, createChannel } from "./channel.ts";
import { lmMessage, metricMessage, programMessage } from "./definition.ts";
import { faultOf, ProgramNotLoaded } from "./faults.ts";
import { type OptimizeCall, type OptimizeEvent, optimizeMessage, progressOf } from "./optimize.ts";
import { usageOf } from "./usage.ts";

/** What the sidecar said of itself in the handshake. */
export type SidecarInfo = {
  readonly dspyVersion: string;
  readonly defaultModel: string;
  readonly allowedModels: readonly string[];
  readonly workers: number;
  readonly bootId: string;
};

export type RunCall = {
  readonly dspyProgramId: string;
  readonly definition: Definition;
  readonly inputs: Values;
  readonly lm: LmSettings;
  readonly chunks: boolean;
  /** Where the outputs are to be held against what was expected. */
  readonly scoring?: { readonly expected: Values; readonly metrics: readonly Metric[] };
};

export type RunEvent =
  | { readonly kind: "trace"; readonly trace: Trace }
  | { readonly kind: "chunk"; readonly module: string; readonly field: string; readonly text: string }
  | { readonly kind: "reset"; readonly module: string; readonly attempt: number }
  | { readonly kind: "done"; readonly outputs: Values; readonly trace: Trace; readonly metricScores: readonly number[] };

export type Sidecar = {
  /** What the last handshake said; undefined while the sidecar is away. */
  info(): SidecarInfo | undefined;
  /** Builds a program and holds it; BuildFailed where DSPy can't. */
  load(dspyProgramId: string, definition: Definition, limits: CallLimits): Promise<void>;
  /** Runs a program, and gives it to a sidecar that does not hold it. */
  run(call: RunCall, limits: CallLimits): AsyncGenerator<RunEvent>;
  /** Optimizes a program in a process of the sidecar's, which ends with the call. */
  optimize(call: OptimizeCall, limits: CallLimits): AsyncGenerator<OptimizeEvent>;
  loaded(limits: CallLimits): Promise<readonly { id: string; type: string; signature: string }[]>;
  close(): void;
};

const handshakeTimeoutMs = 2_000;
const handshakeRetryMs = 100;

/** Talks to the sidecar at a gRPC target, and keeps shaking hands with it whenever it was away. */
export function createSidecar(options: { target: string; log: Logger; onChange(up: boolean): void }): Sidecar {
  const { target, log, onChange } = options;
  const channel = createChannel(target);
  let info: SidecarInfo | undefined;
  let closed = false;

  async function keepInTouch(): Promise<void> {
    while (!closed) {
      try {
        info = await channel.unary(SidecarService.method.getInfo, {}, { timeoutMs: handshakeTimeoutMs });
        log.info({ dspy: info.dspyVersion, model: info.defaultModel, workers: info.workers }, "the sidecar is here");
        onChange(true);
        await channel.disconnected();
        info = undefined;
        if (closed) return;
        log.warn("the sidecar is away");
        onChange(false);
      } catch (error) {
        log.debug({ err: error }, "no handshake with the sidecar yet");
        await new Promise((resolve) => setTimeout(resolve, handshakeRetryMs));
      }
    }
  }
  keepInTouch();

  function assertHere(): void {
    if (!info) throw new SidecarUnavailable();
  }

  async function* attempt(request: MessageInitShape<typeof RunProgramRequestSchema>, limits: CallLimits): AsyncGenerator<RunEvent> {
    try {
      for await (const { event } of channel.stream(SidecarService.method.runProgram, request, limits)) {
        switch (event.case) {
          case "trace":
            yield { kind: "trace", trace: traceOf(event.value) };
            break;
          case "chunk":
            yield { kind: "chunk", module: event.value.module, field: event.value.field, text: event.value.text };
            break;
          case "reset":
            yield { kind: "reset", module: event.value.module, attempt: event.value.attempt };
            break;
          case "done":
            yield {
              kind: "done",
              outputs: jsonOf(event.value.outputs) ?? {},
              trace: traceOf(event.value.trace),
              metricScores: event.value.metricScores,
            };
            break;
        }
      }
    } catch (error) {
      throw faultOf(error, limits.signal);
    }
  }

  return {
    info: () => info,

    async load(dspyProgramId, definition, limits) {
      assertHere();
      try {
        await channel.unary(SidecarService.method.loadProgram, { program: programMessage(dspyProgramId, definition) }, limits);
      } catch (error) {
        throw faultOf(error, limits.signal);
      }
    },

    async *run(call, limits) {
      assertHere();
      const { scoring } = call;
      const scored = scoring && { scoring: { expected: jsonBytes(scoring.expected), metrics: scoring.metrics.map(metricMessage) } };
      const request = { inputs: jsonBytes(call.inputs), lm: lmMessage(call.lm), chunks: call.chunks, ...scored };
      try {
        yield* attempt({ ...request, programId: call.dspyProgramId }, limits);
      } catch (error) {
        if (!(error instanceof ProgramNotLoaded)) throw error;
        yield* attempt({ ...request, program: programMessage(call.dspyProgramId, call.definition) }, limits);
      }
    },

    async *optimize(call, limits) {
      assertHere();
      try {
        const events = channel.stream(SidecarService.method.optimizeProgram, optimizeMessage(call), limits);
        for await (const { event } of events) {
          if (event.case === "progress") yield { kind: "progress", ...progressOf(event.value) };
          if (event.case === "result") yield { kind: "result", ...event.value, tokenUsage: usageOf(event.value.tokenUsage) };
        }
      } catch (error) {
        throw faultOf(error, limits.signal);
      }
    },

    async loaded(limits) {
      assertHere();
      try {
        return (await channel.unary(SidecarService.method.listPrograms, {}, limits)).programs;
      } catch (error) {
        throw faultOf(error, limits.signal);
      }
    },

    close() {
      closed = true;
      channel.close();
    },
  };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const jsonBytes = (values: Values) => encoder.encode(JSON.stringify(values));
const jsonOf = (bytes: Uint8Array): Values | null => (bytes.length === 0 ? null : JSON.parse(decoder.decode(bytes)));

function traceOf(trace: TraceMessage | undefined): Trace {
  return {
    steps: (trace?.steps ?? []).map((step) => ({
      module: step.module,
      outputs: jsonOf(step.outputs),
      rawAnswer: step.rawAnswer,
      tokenUsage: usageOf(step.tokenUsage),
      durationMs: Number(step.durationMs),
    })),
    tokenUsage: usageOf(trace?.tokenUsage),
    model: trace?.model ?? "",
  };
}
