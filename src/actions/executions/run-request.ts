import type { Annotations } from "../../domain/annotations.ts";
import type { Execution, Values } from "../../domain/execution.ts";
import type { LmSettings } from "../../domain/program/program.ts";
import type { ChunkEvent } from "../../dspy/client.ts";

export type RunRequest = Annotations & {
  /** UUID or handle. */
  readonly programId: string;
  /** 0: the deployed revision, or the newest if none is deployed. */
  readonly revision: number;
  readonly inputs: Values;
  readonly lm: LmSettings;
  /** Empty for none. */
  readonly requestId: string;
};

export type RunCaller = {
  /** Ends this caller's wait, with a fault as its reason, when it leaves or its deadline passes. */
  readonly signal: AbortSignal;
  /** When the signal aborts at the latest, on performance.now()'s clock. */
  readonly deadline: number;
  /** Called once, as soon as the run is on record; for a repeated request_id, with its record. */
  onRecord(execution: Execution): void;
  /** Gets what the model writes; the model's stream is paused until the promise resolves. */
  readonly onChunk?: (event: ChunkEvent) => Promise<void>;
};

/** A request_id is unique within its method. */
export type RunMethod = "execute" | "stream" | "batch";
