import type { TokenUsage } from "../domain/execution.ts";
import type { TokenUsage as TokenUsageMessage } from "../gen/sigrun/sidecar/v1/sidecar_service_pb.ts";

/** Reads the sidecar's token usage. */
export function sidecarUsage(usage: TokenUsageMessage | undefined): TokenUsage {
  return {
    inputTokens: Number(usage?.inputTokens ?? 0),
    outputTokens: Number(usage?.outputTokens ?? 0),
    cachedTokens: Number(usage?.cachedTokens ?? 0),
    lmCalls: Number(usage?.lmCalls ?? 0),
  };
}
