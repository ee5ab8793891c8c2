// Preloaded into a gateway by node --import. A test names the timer or listener of src that throws
// at its next call.
import { EventEmitter } from "node:events";
import { registerHooks } from "node:module";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { instrument } from "./_sites.ts";

/** Sites that throw once each: at their next call, or at once if forced. */
export type Order = { sites: readonly string[]; isForced?: boolean };
/** Tells the test that a site has got its function, or that it has thrown. */
export type Report = { registered?: string; thrown?: string };

type Callback = (...values: never[]) => unknown;
/** The wrapper of a function, and the sites that got this function. */
type Wrapper = { call: Callback; sites: Set<string> };

const root = fileURLToPath(new URL("..", import.meta.url));
const wrappers = new WeakMap<Callback, Wrapper>();
/** Calls a site's function: by its emitter, or directly if it is a timer's. */
const callers = new Map<string, () => void>();
/** Sites that have an order and have not thrown yet. */
const ordered = new Set<string>();
const thrown = new Set<string>();
let isForced = false;
const report = (message: Report) => process.send?.(message);

function obey(order: Order): void {
  isForced = order.isForced === true;
  // Repeated, because the test may not have listened before.
  for (const site of callers.keys()) report({ registered: site });
  for (const site of order.sites) {
    // The report of this site may still be on its way to the test.
    if (thrown.has(site)) continue;
    ordered.add(site);
    if (isForced) process.nextTick(() => callers.get(site)?.());
  }
}
if (process.env.SIGRUN_THROW_AT) obey({ sites: [process.env.SIGRUN_THROW_AT], isForced: true });

function throwAt(site: string, callback: unknown): unknown {
  if (typeof callback !== "function") return callback;
  const original = callback as Callback;
  let wrapper = wrappers.get(original);
  if (!wrapper) {
    const sites = new Set<string>();
    const call = function (this: unknown, ...values: never[]) {
      for (const at of sites) {
        if (!ordered.delete(at)) continue;
        thrown.add(at);
        report({ thrown: at });
        throw new Error(`thrown at ${at}`);
      }
      return Reflect.apply(original, this, values);
    };
    wrapper = { call, sites };
    wrappers.set(original, wrapper);
    wrappers.set(call, wrapper);
  }
  wrapper.sites.add(site);
  if (/ (setTimeout|setInterval|setImmediate)/.test(site)) register(site, wrapper.call as () => void);
  return wrapper.call;
}

function register(site: string, call: () => void): void {
  if (!callers.has(site)) report({ registered: site });
  callers.set(site, call);
  if (isForced && ordered.has(site)) process.nextTick(call);
}

for (const name of ["on", "once", "addListener"] as const) {
  const addListener = EventEmitter.prototype[name];
  EventEmitter.prototype[name] = function (
    this: EventEmitter,
    event: string | symbol,
    listener: (...values: never[]) => void,
  ) {
    const result = addListener.call(this, event, listener as never);
    for (const site of wrappers.get(listener)?.sites ?? [])
      if (site.includes(` ${String(event)}`)) register(site, () => this.emit(event, new Error("forced")));
    return result;
  } as never;
}
const addEventListener = EventTarget.prototype.addEventListener;
EventTarget.prototype.addEventListener = function (
  this: EventTarget,
  event: string,
  listener: Callback,
  ...more: []
) {
  const result = addEventListener.call(this, event, listener as never, ...more);
  for (const site of wrappers.get(listener)?.sites ?? [])
    register(site, () => this.dispatchEvent(new Event(event)));
  return result;
} as never;

Object.assign(globalThis, {
  __throwAt: throwAt,
  __wrapped: (callback: Callback) => wrappers.get(callback)?.call ?? callback,
  __soonAt: (site: string, ms: number) => (ordered.has(site) ? 1 : ms),
});

process.on("message", obey);
process.channel?.unref();

/** A drain that hangs must end before the time-out of the test. */
function shortenDrain(source: string): string {
  const shortened = source.replace(
    "defaultMaxDrainMs = 60_000",
    `defaultMaxDrainMs = ${process.env.SIGRUN_MAX_DRAIN_MS ?? 3_000}`,
  );
  if (shortened === source) throw new Error("src/crash.ts has no defaultMaxDrainMs of 60_000");
  return shortened;
}

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const file = url.startsWith("file:") ? relative(root, fileURLToPath(url)) : "";
    if (!file.startsWith("src/") || file.startsWith("src/gen/")) return loaded;
    const source = file === "src/crash.ts" ? shortenDrain(String(loaded.source)) : String(loaded.source);
    return { ...loaded, source: instrument(file, source).text };
  },
});
