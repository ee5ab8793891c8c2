import type { Annotations } from "../../domain/annotations.ts";
import type { Execution, Values } from "../../domain/execution.ts";
import type { LmSettings } from "../../domain/program/program.ts";
import type { ChunkEvent } from "../../dspy/client.ts";

/** What a caller wants run. */
export type RunRequest = Annotations & {
  /** UUID or handle. */
  readonly programId: string;
  /** 0: the deployed one where there is one, else the newest. */
  readonly revision: number;
  readonly inputs: Values;
  readonly lm: LmSettings;
  /** Empty for none. */
  readonly requestId: string;
};

export type RunCaller = {
  /** Aborted, with a fault as its reason, when the caller has gone or its time is up. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Told as soon as the run is on record; where it was made under the same request_id, as it is then. */
  onRecord(execution: Execution): void;
  readonly onChunk?: (event: ChunkEvent) => Promise<void>;
};

/** A request_id belongs to one of them. */
export type RunMethod = "execute" | "stream" | "batch";
