import { RequestIdReused } from "../domain/faults.ts";
import { isSameRequest, type RequestKey } from "../domain/request.ts";

/**
 * Makes a thing once per request_id: a repeated call gets what the first one made, and a different
 * request with the same request_id is refused. `make` gives undefined if another call recorded
 * the request_id first, or if it must start anew. Runs have `executions/replay.ts` in its place,
 * since their callers also wait for a run in flight.
 */
export async function once<Made extends object>(
  key: RequestKey | null,
  find: (key: RequestKey) => Promise<(Made & { readonly hash: string }) | null>,
  make: () => Promise<Made | undefined>,
): Promise<Made> {
  for (;;) {
    const earlier = key && (await find(key));
    if (earlier && !isSameRequest(earlier.hash, key)) throw new RequestIdReused(key.id);
    const made = earlier ?? (await make());
    if (made) return made;
  }
}
