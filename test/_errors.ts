import { type Code, ConnectError } from "@connectrpc/connect";
import type { ExecutionContext } from "ava";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "../src/gen/google/rpc/error_details_pb.ts";

/** Expects the call to fail; returns code, reason, paths of wrong values, and further details. */
export async function failure(t: ExecutionContext<unknown>, call: Promise<unknown>) {
  const error = await t.throwsAsync(call, { instanceOf: ConnectError });
  const [info] = error?.findDetails(ErrorInfoSchema) ?? [];
  const [bad] = error?.findDetails(BadRequestSchema) ?? [];
  const [retry] = error?.findDetails(RetryInfoSchema) ?? [];
  return {
    code: error?.code as Code,
    message: error?.rawMessage ?? "",
    reason: info?.reason,
    domain: info?.domain,
    metadata: info?.metadata ?? {},
    paths: (bad?.fieldViolations ?? []).map(({ field }) => field).sort(),
    retrySeconds: Number(retry?.retryDelay?.seconds ?? -1n),
  };
}
