import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";

const src = fileURLToPath(new URL("../src", import.meta.url));
const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter(
  (file) => file.endsWith(".ts") && !file.startsWith("gen/"),
);
const floors: Record<string, number> = {
  "main.ts": 5,
  "startup.ts": 5,
  "readiness.ts": 5,
  "services.ts": 5,
  rpc: 4,
  jobs: 4,
  actions: 3,
  store: 2,
  dspy: 2,
  domain: 1,
  "config.ts": 1,
  "database-url": 1,
  "telemetry.ts": 1,
  "retry.ts": 1,
  "supervise.ts": 1,
  "heartbeat.ts": 1,
  "crash.ts": 1,
  "shutdown.ts": 1,
};
/**
 * The floors inside a room, from the ground up, as patterns of files. Patterns on one floor do not
 * import each other.
 */
const innerFloors: Record<string, string[][]> = {
  domain: [
    ["domain/[^/]+$"],
    ["domain/signature/"],
    ["domain/catalogue/"],
    ["domain/program/"],
    ["domain/optimization/"],
    ["domain/query/"],
  ],
  store: [
    ["store/connection/"],
    ["store/(?!store)[^/]+$"],
    ["store/query/", "store/notifications/", "store/migrations/"],
    ["store/executions/"],
    ["store/programs/", "store/changes/"],
    ["store/optimizations/"],
    ["store/store.ts$"],
  ],
  rpc: [
    ["rpc/(faults|caller|bounds).ts$"],
    ["rpc/decoding/"],
    ["rpc/wire/", "rpc/server/"],
    ["rpc/(?!faults|caller|bounds)[^/]+$"],
  ],
  actions: [
    ["actions/[^/]+$"],
    ["actions/signatures/", "actions/programs/", "actions/executions/"],
    ["actions/optimizations/"],
    ["actions/evaluations/"],
  ],
};
/** Files of the top floor that build the others. */
const composers = ["main.ts", "startup.ts"];
const roomOf = (file: string) => file.split("/")[0] as string;

type Import = { from: string; to: string; isType: boolean };

/** Every import of a file: ours by its path below src, packages by their names. */
function importsOf(file: string): Import[] {
  const text = readFileSync(join(src, file), "utf8");
  const found = text.matchAll(/^(?:import|export) (type )?(?:(\{[^}]*\}|[\w*\s,]+) from )?"([^"]+)"/gms);
  return [...found].map(([, type, names = "", path = ""]) => ({
    from: file,
    to: path.startsWith(".") ? relative(src, join(src, dirname(file), path)) : path,
    isType:
      type !== undefined ||
      (names.startsWith("{") &&
        names
          .slice(1, -1)
          .split(",")
          .filter((name) => name.trim() !== "")
          .every((name) => /^\s*type /.test(name))),
  }));
}

const imports = files.flatMap(importsOf);
const ours = imports.filter(({ to }) => to.endsWith(".ts") && !to.startsWith("gen/"));
const say = ({ from, to }: Import) => `${from} -> ${to}`;

test("every room has a floor", (t) => {
  t.deepEqual(
    [...new Set(files.map(roomOf))].filter((room) => floors[room] === undefined),
    [],
  );
  t.true(imports.length > 100);
});

test("no import runs up, or across to another room of the same floor", (t) => {
  const floor = (file: string) => floors[roomOf(file)] as number;
  const wrong = ours.filter(({ from, to }) => {
    const isAcross = floor(from) === floor(to) && roomOf(from) !== roomOf(to) && !composers.includes(from);
    const isWithinGround = floor(from) === 1 && floor(to) === 1 && roomOf(from) !== "domain";
    return floor(to) > floor(from) || (isAcross && !isWithinGround);
  });
  t.deepEqual(wrong.map(say), []);
});

test("inside a room no import runs up, or across to another part of the same floor", (t) => {
  const place = (file: string): [floor: number, part: string] => {
    for (const [floor, parts] of (innerFloors[roomOf(file)] ?? []).entries())
      for (const part of parts) if (new RegExp(`^${part}`).test(file)) return [floor, part];
    return [-1, file];
  };
  const inside = ours.filter(({ from, to }) => innerFloors[roomOf(from)] && roomOf(from) === roomOf(to));
  const wrong = inside.filter(({ from, to }) => {
    const [[fromFloor, fromPart], [toFloor, toPart]] = [place(from), place(to)];
    return fromFloor < 0 || toFloor > fromFloor || (toFloor === fromFloor && toPart !== fromPart);
  });
  t.deepEqual(wrong.map(say), []);
  t.true(inside.length > 100);
});

test("no files import each other in a circle, types included", (t) => {
  const next = Map.groupBy(ours, ({ from }) => from);
  const done = new Set<string>();
  const circleFrom = (file: string, way: string[]): string[] | undefined => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const { to } of next.get(file) ?? []) {
      const circle = circleFrom(to, [...way, file]);
      if (circle) return circle;
    }
    done.add(file);
    return undefined;
  };
  t.deepEqual(
    files.flatMap((file) => circleFrom(file, [])?.join(" -> ") ?? []),
    [],
  );
});

test("actions know the store and DSPy by their types alone", (t) => {
  const wrong = ours.filter(
    ({ from, to, isType }) => roomOf(from) === "actions" && floors[roomOf(to)] === 2 && !isType,
  );
  t.deepEqual(wrong.map(say), []);
});

test("the domain imports nothing but itself, Node, yup and re2js", (t) => {
  const wrong = imports.filter(
    ({ from, to }) => roomOf(from) === "domain" && !/^(domain\/|node:|yup$|re2js$)/.test(to),
  );
  t.deepEqual(wrong.map(say), []);
});

test("generated code is known to rpc and dspy alone, Sequelize to store, grpc-js to dspy, Connect to rpc", (t) => {
  const rooms: [RegExp, string[]][] = [
    [/^gen\//, ["rpc", "dspy"]],
    [/^(sequelize|umzug|pg|pg-boss)$/, ["store"]],
    [/^@grpc\/grpc-js$/, ["dspy"]],
    [/^@connectrpc\//, ["rpc"]],
  ];
  const wrong = imports.filter(({ from, to }) =>
    rooms.some(([pattern, allowed]) => pattern.test(to) && !allowed.includes(roomOf(from))),
  );
  t.deepEqual(wrong.map(say), []);
});
