import { type Budget, createBudget } from "./budget.ts";
import { maxOwnStreams, maxOwnStreamsOfConnection, type PortLimits } from "./limits.ts";
import { createUnpacking, type Unpack } from "./unpacking.ts";

/** The memory of the port's calls: bytes of requests under way, and of answers not read yet. */
export type CallMemory = {
  readonly requests: Budget;
  readonly answers: Budget;
  /** The number of streams of health and reflection. */
  readonly ownStreams: Budget;
  readonly unpack: Unpack;
};

export function createCallMemory({ requestMemory, answerMemory }: PortLimits): CallMemory {
  return {
    requests: createBudget(requestMemory, requestMemory / 2),
    answers: createBudget(answerMemory, answerMemory / 2),
    ownStreams: createBudget(maxOwnStreams, maxOwnStreamsOfConnection),
    unpack: createUnpacking(),
  };
}
