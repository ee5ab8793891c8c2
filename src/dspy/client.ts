import type { Trace, Values } from "../domain/execution.ts";
import type { Metric } from "../domain/optimization/optimization.ts";
import type { Tools } from "../domain/program/capabilities.ts";
import type { Definition, LmSettings } from "../domain/program/program.ts";
import { hasSideEffects } from "../domain/program/side-effects.ts";
import { SidecarService } from "../gen/sigrun/sidecar/v1/sidecar_service_pb.ts";
import type { Logger } from "../telemetry.ts";
import { type Answer, answerOf, traceOf } from "./answer.ts";
import type { CallLimits } from "./channel.ts";
import { lmMessage, metricMessage, programMessage } from "./definition.ts";
import { ProgramNotLoaded, sidecarFault } from "./faults.ts";
import { type OptimizeCall, type OptimizeEvent, optimizeMessage, progressOf } from "./optimize.ts";
import type { RunProgress } from "./session.ts";
import { sidecarUsage } from "./usage.ts";
import { bytesOf, inputBytesOf } from "./values.ts";
import type { SidecarInfo, Worker } from "./worker.ts";
import { createWorkers } from "./workers.ts";

export type RunCall = {
  readonly dspyProgramId: string;
  readonly definition: Definition;
  readonly inputs: Values;
  readonly lm: LmSettings;
  /**
   * The first caller's deadline, on performance.now()'s clock. The sidecar begins no retry of a
   * request to the model after it.
   */
  readonly deadline: number;
  /** If the outputs are to be scored: the expected outputs, and the metrics. */
  readonly scoring?: { readonly expected: Values; readonly metrics: readonly Metric[] };
};

export type ExportCall = {
  /** Names the class of the program. */
  readonly handle: string;
  readonly dspyProgramId: string;
  readonly definition: Definition;
};

export type Exported = { readonly source: string; readonly compiledState: string };

/** A piece of the model's text ("chunk"), or notice that the module starts again ("reset"). */
export type ChunkEvent =
  | { readonly kind: "chunk"; readonly module: string; readonly field: string; readonly text: string }
  | { readonly kind: "reset"; readonly module: string; readonly attempt: number };

/** Callbacks of a run in flight. */
export type RunListener = {
  /** Called with the steps and tokens so far. */
  onTrace(trace: Trace): void;
  /** Flow control: the model's stream pauses until the promises resolve. */
  readonly onChunk?: ((event: ChunkEvent) => Promise<void>) | undefined;
};

export type Sidecar = {
  /** The answer to the last handshake; undefined while the sidecar is away. */
  info(): SidecarInfo | undefined;
  /**
   * Resolves when a worker is connected. Throws SidecarUnavailable after 20 s without one, or the
   * reason of the signal.
   */
  ready(signal?: AbortSignal): Promise<void>;
  /**
   * Builds and caches a program. Throws PROGRAM_INVALID if DSPy can't build it, or if a state that
   * is imported has other fields or tools.
   */
  load(
    dspyProgramId: string,
    definition: Definition,
    limits: CallLimits & { readonly isImport?: boolean },
  ): Promise<void>;
  /**
   * Runs a program on a worker, which gets the definition if it does not hold the program. While
   * no worker is connected, waits as `ready` does. The signal alone ends the run early, with its
   * reason.
   */
  run(call: RunCall, listener: RunListener, signal: AbortSignal): Promise<Answer>;
  /**
   * The Python source of a program, and its state for it. Throws PROGRAM_INVALID as `load` does.
   */
  export(call: ExportCall, limits: CallLimits): Promise<Exported>;
  /** Optimizes a program in a sidecar process that ends with the call. */
  optimize(call: OptimizeCall, limits: CallLimits): AsyncGenerator<OptimizeEvent>;
  /** The tools that the MCP servers list now. */
  tools(limits: CallLimits): Promise<Tools>;
  loaded(limits: CallLimits): Promise<readonly { id: string; type: string; signature: string }[]>;
  close(): void;
};

/** Calls the sidecar's workers, each at a gRPC target of its own. */
export function createSidecar(options: {
  targets: readonly string[];
  token?: string | undefined;
  log: Logger;
  onChange(isAvailable: boolean): void;
}): Sidecar {
  const workers = createWorkers(options);

  /**
   * Runs by the program's id. Retry with the definition, on the same worker, if that worker does
   * not hold the program; nothing has run by then. (workers.ts retries if a worker died.)
   */
  async function runOn(
    worker: Worker,
    call: RunCall,
    { onTrace, onChunk }: RunListener,
    signal: AbortSignal,
  ): Promise<Answer> {
    const { scoring } = call;
    const scoringMessage = scoring && {
      scoring: { expected: bytesOf(scoring.expected), metrics: scoring.metrics.map(metricMessage) },
    };
    const request = {
      inputs: inputBytesOf(call.inputs),
      lm: lmMessage(call.lm),
      chunks: onChunk !== undefined,
      timeLeftMs: BigInt(Math.max(1, Math.round(call.deadline - performance.now()))),
      ...scoringMessage,
    };
    const onEvent = ({ case: kind, value }: RunProgress) => {
      if (kind === "trace") onTrace(traceOf(value));
      else if (kind === "chunk")
        return onChunk?.({ kind, module: value.module, field: value.field, text: value.text });
      else return onChunk?.({ kind, module: value.module, attempt: value.attempt });
    };
    try {
      return answerOf(await worker.run({ ...request, programId: call.dspyProgramId }, onEvent, signal));
    } catch (error) {
      if (!(error instanceof ProgramNotLoaded)) throw error;
      return answerOf(
        await worker.run(
          { ...request, program: programMessage(call.dspyProgramId, call.definition) },
          onEvent,
          signal,
        ),
      );
    }
  }

  async function* optimizeOn(
    worker: Worker,
    call: OptimizeCall,
    limits: CallLimits,
  ): AsyncGenerator<OptimizeEvent> {
    try {
      for await (const { event } of worker.stream(
        SidecarService.method.optimizeProgram,
        optimizeMessage(call),
        limits,
      )) {
        if (event.case === "progress") yield { kind: "progress", ...progressOf(event.value) };
        if (event.case === "result")
          yield { kind: "result", ...event.value, tokenUsage: sidecarUsage(event.value.tokenUsage) };
      }
    } catch (error) {
      throw sidecarFault(error, limits.signal);
    }
  }

  async function withFaults<T>(answer: Promise<T>, { signal }: CallLimits): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      throw sidecarFault(error, signal);
    }
  }

  /** Calls every worker. Returns the answers of those that did not die; throws only if all did. */
  async function callAll<T>(call: (worker: Worker) => Promise<T>, { signal }: CallLimits): Promise<T[]> {
    await workers.ready(signal);
    const calls = workers.connected().map(call);
    const results = await Promise.allSettled(calls);
    const answers = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    if (answers.length === 0) await calls[0];
    return answers;
  }

  return {
    info: workers.info,
    ready: workers.ready,

    async load(dspyProgramId, definition, limits) {
      const { isImport = false } = limits;
      const request = { program: programMessage(dspyProgramId, definition), isImport };
      await workers.call(
        (worker) => withFaults(worker.unary(SidecarService.method.loadProgram, request, limits), limits),
        { signal: limits.signal, isRepeatable: true },
      );
    },

    run: (call, { onTrace, onChunk }, signal) =>
      workers.call(
        (worker, markEventCame) => {
          const listener: RunListener = {
            onTrace(trace) {
              markEventCame();
              onTrace(trace);
            },
            onChunk:
              onChunk &&
              ((event) => {
                markEventCame();
                return onChunk(event);
              }),
          };
          return runOn(worker, call, listener, signal);
        },
        { key: cacheKey(call), signal, isRepeatable: !hasSideEffects(call.definition) },
      ),

    export({ handle, dspyProgramId, definition }, limits) {
      const request = { handle, program: programMessage(dspyProgramId, definition) };
      return workers.call(
        (worker) => withFaults(worker.unary(SidecarService.method.exportProgram, request, limits), limits),
        { signal: limits.signal, isRepeatable: true },
      );
    },

    optimize: (call, limits) =>
      workers.stream((worker) => optimizeOn(worker, call, limits), {
        signal: limits.signal,
        isRepeatable: true,
      }),

    async tools(limits) {
      const infos = await callAll(
        (worker) => withFaults(worker.unary(SidecarService.method.getInfo, {}, limits), limits),
        limits,
      );
      // Each worker has sessions of its own. One that has just started may know fewer tools, and a
      // server that one worker can't reach is away for some runs.
      const tools = new Map(
        infos.flatMap((info) =>
          info.tools.map(({ name, description }) => [name, { name, description }] as const),
        ),
      );
      return {
        tools: [...tools.values()],
        serversAway: [...new Set(infos.flatMap((info) => info.toolServersAway))],
      };
    },

    async loaded(limits) {
      const lists = await callAll(
        (worker) => withFaults(worker.unary(SidecarService.method.listPrograms, {}, limits), limits),
        limits,
      );
      // Several workers may hold the same program.
      const programs = new Map(
        lists.flatMap(({ programs }) => programs.map((program) => [program.id, program] as const)),
      );
      return [...programs.values()];
    },

    close: workers.close,
  };
}

/**
 * The key by which runs that may be cached go to the same worker: each worker has a cache of its
 * own.
 */
function cacheKey({ dspyProgramId, definition, inputs, lm }: RunCall): string | undefined {
  const isCached = [lm, definition.lm, ...definition.modules.map((module) => module.lm)].some(
    ({ cache }) => cache,
  );
  return isCached ? `${dspyProgramId} ${JSON.stringify(inputs)}` : undefined;
}
