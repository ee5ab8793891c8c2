import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** A place in src that passes a function to a timer or an emitter. */
export type Site = { readonly id: string; readonly file: string; readonly event: string };

const root = fileURLToPath(new URL("..", import.meta.url));
/** These catch what all others throw, so nothing catches what these throw. */
const guards = ["src/crash.ts", "src/rpc/server/boundary.ts"];
const calls = new RegExp(
  [
    String.raw`\b(?<timer>setTimeout|setInterval|setImmediate)\(`,
    String.raw`\bboundary\.(?<owned>after|every)\(`,
    String.raw`\.(?<listener>on|once|addListener|addEventListener)\(`,
    String.raw`\.(?<removal>off|removeListener|removeEventListener)\(`,
  ].join("|"),
  "g",
);

/**
 * Wraps each such function of a source in __throwAt() of _throw-at.ts. A function that is removed
 * again is looked up by __wrapped().
 */
export function instrument(file: string, source: string): { sites: Site[]; text: string } {
  const sites: Site[] = [];
  const edits: { at: number; text: string }[] = [];
  const wrap = ([from, to]: readonly [number, number], before: string) =>
    edits.push({ at: from, text: before }, { at: to, text: ")" });
  for (const match of guards.includes(file) ? [] : source.matchAll(calls)) {
    const { timer, owned, removal } = match.groups as Record<string, string | undefined>;
    const args = argumentsAt(source, match.index + match[0].length);
    const callback = args[timer ? 0 : owned ? 2 : 1];
    if (!callback) continue;
    if (removal) {
      wrap(callback, "__wrapped(");
      continue;
    }
    const event = timer ?? owned ?? source.slice(...(args[0] as [number, number])).replaceAll('"', "");
    const line = source.slice(0, match.index).split("\n").length;
    const number = sites.filter(({ id }) => id.startsWith(`${file}:${line} `)).length;
    const id = `${file}:${line} ${event}${number > 0 ? ` (${number + 1})` : ""}`;
    sites.push({ id, file, event });
    wrap(callback, `__throwAt(${JSON.stringify(id)}, `);
    if ((timer || owned) && args[1]) wrap(args[1], `__soonAt(${JSON.stringify(id)}, `);
  }
  // From the end, so that no edit moves a later one; of two at one place, the closing one first.
  const sorted = edits.sort((a, b) => b.at - a.at);
  const text = sorted.reduce(
    (written, { at, text }) => written.slice(0, at) + text + written.slice(at),
    source,
  );
  return { sites, text };
}

/** Every site of src. */
export function readSites(): Site[] {
  const files = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" }).filter(
    (file) => file.endsWith(".ts") && !file.startsWith("gen/"),
  );
  return files
    .sort()
    .flatMap((file) => instrument(`src/${file}`, readFileSync(join(root, "src", file), "utf8")).sites);
}

/**
 * The start and end of each argument of a call; `from` is the place after the opening parenthesis.
 * Regular expressions are read as plain code.
 */
function argumentsAt(source: string, from: number): [number, number][] {
  const found: [number, number][] = [];
  let depth = 0;
  let start = from;
  const endArgument = (at: number) => {
    const text = source.slice(start, at);
    const first = start + (text.length - text.trimStart().length);
    if (text.trim() !== "") found.push([first, first + text.trim().length]);
    start = at + 1;
  };
  const tokens = /\/\/.*|\/\*[\s\S]*?\*\/|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`|[()[\]{},]/g;
  tokens.lastIndex = from;
  for (let token = tokens.exec(source); token; token = tokens.exec(source)) {
    const [sign] = token;
    if (sign === "," && depth === 0) endArgument(token.index);
    else if ("([{".includes(sign)) depth += 1;
    else if (")]}".includes(sign)) {
      if (depth === 0) {
        endArgument(token.index);
        return found;
      }
      depth -= 1;
    }
  }
  throw new Error(`the call at ${from} has no closing parenthesis`);
}
