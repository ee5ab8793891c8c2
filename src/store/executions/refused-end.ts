import { Fault } from "../../domain/faults.ts";
import type { RunEnd } from "./run.ts";

/** Thrown, on record, if the database refuses what a run made. */
const refused = new Fault("INTERNAL", "the database refused the outputs or steps of this run");

/**
 * The end of a run whose values the database refuses: a failure keeps its reason, a success becomes
 * INTERNAL; times and tokens stay.
 */
export function withoutValues(run: RunEnd): RunEnd {
  const { reason, message } = refused;
  const isFailure = run.errorReason !== "";
  return {
    ...run,
    status: isFailure ? run.status : "failed",
    outputs: null,
    errorReason: isFailure ? run.errorReason : reason,
    errorMessage: message,
    violations: [],
    trace: { ...run.trace, steps: [] },
  };
}
