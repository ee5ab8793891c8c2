import type { Trace, Values } from "../domain/execution.ts";
import { SidecarUnavailable } from "../domain/faults.ts";
import type { Metric } from "../domain/optimization/optimization.ts";
import type { Tools } from "../domain/program/capabilities.ts";
import type { Definition, LmSettings } from "../domain/program/program.ts";
import {
  type Done,
  SidecarService,
  type Trace as TraceMessage,
} from "../gen/sigrun/sidecar/v1/sidecar_service_pb.ts";
import type { Logger } from "../telemetry.ts";
import type { CallLimits } from "./channel.ts";
import { lmMessage, metricMessage, programMessage } from "./definition.ts";
import { faultOf, ProgramNotLoaded } from "./faults.ts";
import { type OptimizeCall, type OptimizeEvent, optimizeMessage, progressOf } from "./optimize.ts";
import type { Told } from "./session.ts";
import { usageOf } from "./usage.ts";
import { bytesOf, valuesOf } from "./values.ts";
import type { SidecarInfo, Worker } from "./worker.ts";
import { createWorkers } from "./workers.ts";

export type RunCall = {
  readonly dspyProgramId: string;
  readonly definition: Definition;
  readonly inputs: Values;
  readonly lm: LmSettings;
  /** Where the outputs are to be held against what was expected. */
  readonly scoring?: { readonly expected: Values; readonly metrics: readonly Metric[] };
};

/** A piece of what the model writes, or that it begins again. */
export type ChunkEvent =
  | { readonly kind: "chunk"; readonly module: string; readonly field: string; readonly text: string }
  | { readonly kind: "reset"; readonly module: string; readonly attempt: number };

/** Who is told of a run while it goes on. */
export type RunListener = {
  /** What it has done and spent so far. */
  onTrace(trace: Trace): void;
  /** Where it is there, the model writes no faster than its promises resolve. */
  readonly onChunk?: ((event: ChunkEvent) => Promise<void>) | undefined;
};

export type Answer = {
  readonly outputs: Values;
  readonly trace: Trace;
  readonly metricScores: readonly number[];
};

export type Sidecar = {
  /** What the last handshake said; undefined while the sidecar is away. */
  info(): SidecarInfo | undefined;
  /** Builds a program and holds it; BuildFailed where DSPy can't. */
  load(dspyProgramId: string, definition: Definition, limits: CallLimits): Promise<void>;
  /** Runs a program, and gives it to a worker that does not hold it. */
  run(call: RunCall, listener: RunListener, limits: CallLimits): Promise<Answer>;
  /** Optimizes a program in a process of the sidecar's, which ends with the call. */
  optimize(call: OptimizeCall, limits: CallLimits): AsyncGenerator<OptimizeEvent>;
  /** The tools as its MCP servers stand now. */
  tools(limits: CallLimits): Promise<Tools>;
  loaded(limits: CallLimits): Promise<readonly { id: string; type: string; signature: string }[]>;
  close(): void;
};

/** Talks to the sidecar's workers, each at a gRPC target of its own. */
export function createSidecar(options: {
  targets: readonly string[];
  log: Logger;
  onChange(up: boolean): void;
}): Sidecar {
  const workers = createWorkers(options);

  /** A worker that does not hold the program gets it with the next call. */
  async function runOn(
    worker: Worker,
    call: RunCall,
    { onTrace, onChunk }: RunListener,
    limits: CallLimits,
  ): Promise<Answer> {
    const { scoring } = call;
    const scored = scoring && {
      scoring: { expected: bytesOf(scoring.expected), metrics: scoring.metrics.map(metricMessage) },
    };
    const asked = {
      inputs: bytesOf(call.inputs),
      lm: lmMessage(call.lm),
      chunks: onChunk !== undefined,
      ...scored,
    };
    const onTold = ({ case: kind, value }: Told) => {
      if (kind === "trace") onTrace(traceOf(value));
      else if (kind === "chunk")
        return onChunk?.({ kind, module: value.module, field: value.field, text: value.text });
      else return onChunk?.({ kind, module: value.module, attempt: value.attempt });
    };
    try {
      return answerOf(await worker.run({ ...asked, programId: call.dspyProgramId }, onTold, limits));
    } catch (error) {
      if (!(error instanceof ProgramNotLoaded)) throw error;
      return answerOf(
        await worker.run(
          { ...asked, program: programMessage(call.dspyProgramId, call.definition) },
          onTold,
          limits,
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
          yield { kind: "result", ...event.value, tokenUsage: usageOf(event.value.tokenUsage) };
      }
    } catch (error) {
      throw faultOf(error, limits.signal);
    }
  }

  async function asked<T>(answer: Promise<T>, { signal }: CallLimits): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      throw faultOf(error, signal);
    }
  }

  /**
   * What each worker says. One that dies meanwhile says nothing, and fails the call only where all
   * do.
   */
  async function each<T>(ask: (worker: Worker) => Promise<T>): Promise<T[]> {
    const asking = workers.here().map(ask);
    if (asking.length === 0) throw new SidecarUnavailable();
    const answers = await Promise.allSettled(asking);
    const said = answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
    if (said.length === 0) await asking[0];
    return said;
  }

  return {
    info: workers.info,

    async load(dspyProgramId, definition, limits) {
      const request = { program: programMessage(dspyProgramId, definition) };
      await workers.call((worker) =>
        asked(worker.unary(SidecarService.method.loadProgram, request, limits), limits),
      );
    },

    run: (call, { onTrace, onChunk }, limits) =>
      workers.call((worker, handsOn) => {
        const listener: RunListener = {
          onTrace(trace) {
            handsOn();
            onTrace(trace);
          },
          onChunk:
            onChunk &&
            ((event) => {
              handsOn();
              return onChunk(event);
            }),
        };
        return runOn(worker, call, listener, limits);
      }, cacheKey(call)),

    optimize: (call, limits) => workers.stream((worker) => optimizeOn(worker, call, limits)),

    async tools(limits) {
      const infos = await each((worker) =>
        asked(worker.unary(SidecarService.method.getInfo, {}, limits), limits),
      );
      // Each has sessions of its own: one that has just been started may know less, and a server
      // that one lacks is away for some runs.
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
      const lists = await each((worker) =>
        asked(worker.unary(SidecarService.method.listPrograms, {}, limits), limits),
      );
      // Most programs are held by more than one of them.
      const programs = new Map(
        lists.flatMap(({ programs }) => programs.map((program) => [program.id, program] as const)),
      );
      return [...programs.values()];
    },

    close: workers.close,
  };
}

/** Each worker has a cache of its own: what may be cached is asked of the same one again. */
function cacheKey({ dspyProgramId, definition, inputs, lm }: RunCall): string | undefined {
  const isCached = [lm, definition.lm, ...definition.modules.map((module) => module.lm)].some(
    ({ cache }) => cache,
  );
  return isCached ? `${dspyProgramId} ${JSON.stringify(inputs)}` : undefined;
}

const answerOf = ({ outputs, trace, metricScores }: Done): Answer => ({
  outputs: valuesOf(outputs) ?? {},
  trace: traceOf(trace),
  metricScores,
});

function traceOf(trace: TraceMessage | undefined): Trace {
  return {
    steps: (trace?.steps ?? []).map((step) => ({
      module: step.module,
      outputs: valuesOf(step.outputs),
      rawAnswer: step.rawAnswer,
      tokenUsage: usageOf(step.tokenUsage),
      durationMs: Number(step.durationMs),
    })),
    tokenUsage: usageOf(trace?.tokenUsage),
    model: trace?.model ?? "",
  };
}
