import { createHash } from "node:crypto";
import { canonicalJson } from "./json.ts";
import { checkUuid } from "./uuid.ts";

/** A request_id in its scope (a project's method), and a hash of what was asked under it. */
export type RequestKey = { readonly method: string; readonly id: string; readonly hash: string };

/** The key of a call, by what it asks for; null where its caller sent no request_id. */
export function requestKey(
  method: string,
  id: string,
  asked: object,
  field = "request_id",
): RequestKey | null {
  if (id === "") return null;
  checkUuid(id, field);
  return {
    method,
    id: id.toLowerCase(),
    hash: createHash("sha256").update(canonicalJson(asked)).digest("hex"),
  };
}
