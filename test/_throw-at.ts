// Preloaded into a gateway by node --import. A test names the timer or listener of src that throws
// at its next call.
import { EventEmitter } from "node:events";
import { registerHooks } from "node:module";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { instrument } from "./_sites.ts";

/** Where to throw once each; if it is forced, at once and not only when somebody calls. */
export type Order = { at: readonly string[]; isForced?: boolean };
/** What is told: that a site was given its function, and that it has thrown. */
export type Told = { offered?: string; thrown?: string };

type Callback = (...values: never[]) => unknown;
type Wrapped = { call: Callback; sites: Set<string> };

const root = fileURLToPath(new URL("..", import.meta.url));
const made = new WeakMap<Callback, Wrapped>();
/** What can call the site's function: its emitter, or the timer's function itself. */
const forces = new Map<string, () => void>();
const waiting = new Set<string>();
const thrown = new Set<string>();
let isForced = false;
const tell = (told: Told) => process.send?.(told);

function obey(order: Order): void {
  isForced = order.isForced === true;
  // Again, for a test that did not listen yet.
  for (const site of forces.keys()) tell({ offered: site });
  for (const site of order.at) {
    // The test may not have heard yet that it has.
    if (thrown.has(site)) continue;
    waiting.add(site);
    if (isForced) process.nextTick(() => forces.get(site)?.());
  }
}
if (process.env.SIGRUN_THROW_AT) obey({ at: [process.env.SIGRUN_THROW_AT], isForced: true });

function throwAt(site: string, callback: unknown): unknown {
  if (typeof callback !== "function") return callback;
  const original = callback as Callback;
  let wrapped = made.get(original);
  if (!wrapped) {
    const sites = new Set<string>();
    const call = function (this: unknown, ...values: never[]) {
      for (const at of sites) {
        if (!waiting.delete(at)) continue;
        thrown.add(at);
        tell({ thrown: at });
        throw new Error(`thrown at ${at}`);
      }
      return Reflect.apply(original, this, values);
    };
    wrapped = { call, sites };
    made.set(original, wrapped);
    made.set(call, wrapped);
  }
  wrapped.sites.add(site);
  if (/ (setTimeout|setInterval|setImmediate)/.test(site)) offer(site, wrapped.call as () => void);
  return wrapped.call;
}

function offer(site: string, force: () => void): void {
  if (!forces.has(site)) tell({ offered: site });
  forces.set(site, force);
  if (isForced && waiting.has(site)) process.nextTick(force);
}

for (const name of ["on", "once", "addListener"] as const) {
  const register = EventEmitter.prototype[name];
  EventEmitter.prototype[name] = function (
    this: EventEmitter,
    event: string | symbol,
    listener: (...values: never[]) => void,
  ) {
    const result = register.call(this, event, listener as never);
    for (const site of made.get(listener)?.sites ?? [])
      if (site.includes(` ${String(event)}`)) offer(site, () => this.emit(event, new Error("forced")));
    return result;
  } as never;
}
const register = EventTarget.prototype.addEventListener;
EventTarget.prototype.addEventListener = function (
  this: EventTarget,
  event: string,
  listener: Callback,
  ...more: []
) {
  const result = register.call(this, event, listener as never, ...more);
  for (const site of made.get(listener)?.sites ?? []) offer(site, () => this.dispatchEvent(new Event(event)));
  return result;
} as never;

Object.assign(globalThis, {
  __throwAt: throwAt,
  __wrapped: (callback: Callback) => made.get(callback)?.call ?? callback,
  __soonAt: (site: string, ms: number) => (waiting.has(site) ? 1 : ms),
});

process.on("message", obey);
process.channel?.unref();

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const file = url.startsWith("file:") ? relative(root, fileURLToPath(url)) : "";
    if (!file.startsWith("src/") || file.startsWith("src/gen/")) return loaded;
    // A drain that hangs is to end before the test's patience does.
    const source = String(loaded.source).replace(
      "usualMaxDrainMs = 60_000",
      `usualMaxDrainMs = ${process.env.SIGRUN_MAX_DRAIN_MS ?? 3_000}`,
    );
    return { ...loaded, source: instrument(file, source).text };
  },
});
