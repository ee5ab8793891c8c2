import { createHash } from "node:crypto";
import { canonicalJson } from "./json.ts";
import { checkUuid } from "./uuid.ts";

/** A request_id in its scope (a project's method), and the hash of its request. */
export type RequestKey = {
  readonly method: string;
  readonly id: string;
  readonly hash: string;
  /**
   * The hash with the maps in the order in which they arrived, if that is another one. Databases
   * hold such hashes, from before maps were sorted.
   */
  readonly hashAsArrived?: string;
};

/** True if the hash on record is of this request. */
export const isSameRequest = (recorded: string, { hash, hashAsArrived }: RequestKey): boolean =>
  recorded === hash || recorded === hashAsArrived;

/**
 * The fields that always count in the hash of a request, set or not. A new method gets a row here;
 * a row that stands never gets another field, since databases hold hashes made from exactly these
 * fields. Any other field counts only if it is set, so that a request without it keeps its hash
 * after an upgrade.
 *
 * The rule covers the request itself. A new field inside one of its parts (a module, a signature,
 * lm) must be undefined while it is not set. test/actions/request-hashes.test.ts fails if a hash
 * changes.
 */
const originalFields = {
  "create program": ["name", "description", "handle", "labels", "signatureId", "signature", "modules", "lm"],
  import: ["key", "compiledState"],
  rollback: ["key", "number"],
  execute: ["programId", "revision", "inputs", "labels", "lm", "requestId"],
  stream: ["programId", "revision", "inputs", "labels", "lm", "requestId"],
  batch: ["programId", "revision", "inputs", "labels", "lm", "requestId"],
  create: ["programId", "inputs", "labels", "requestId"],
  start: ["programId", "inputs", "labels", "requestId"],
  optimize: [
    ...["programId", "baseRevision", "dataset", "valset", "optimizer", "metrics", "config", "seed"],
    ...["budget", "keepWorse", "lms", "labels", "requestId"],
  ],
} as const satisfies Record<string, readonly string[]>;

/** "create" and "start" record an execution that runs elsewhere. */
export type RequestMethod = keyof typeof originalFields;

/**
 * The key of a request; null if its caller sent no request_id. A request with a map that was read
 * as a list is sorted, and `asArrived` is the same request unsorted: the order of a map on the wire
 * is any, and some clients change it with each attempt.
 */
export function requestKey(
  method: RequestMethod,
  id: string,
  request: object,
  asArrived: object = request,
): RequestKey | null {
  if (id === "") return null;
  checkUuid(id, "request_id");
  const hash = hashOf(method, request);
  const hashAsArrived = asArrived === request ? hash : hashOf(method, asArrived);
  return { method, id: id.toLowerCase(), hash, ...(hashAsArrived !== hash && { hashAsArrived }) };
}

function hashOf(method: RequestMethod, request: object): string {
  const original: readonly string[] = originalFields[method];
  const counted = Object.entries(request).filter(([name, value]) => original.includes(name) || isSet(value));
  return createHash("sha256")
    .update(canonicalJson(Object.fromEntries(counted)))
    .digest("hex");
}

/** False for what a message holds in a field that its caller left out. */
function isSet(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}
