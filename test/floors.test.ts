import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";

const src = fileURLToPath(new URL("../src", import.meta.url));
const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts") && !file.startsWith("gen/"));
const floors: Record<string, number> = {
  "main.ts": 5,
  "services.ts": 5,
  rpc: 4,
  jobs: 4,
  actions: 3,
  store: 2,
  dspy: 2,
  domain: 1,
  "config.ts": 1,
  "telemetry.ts": 1,
  "supervise.ts": 1,
};
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
    const isAcross = floor(from) === floor(to) && roomOf(from) !== roomOf(to) && from !== "main.ts";
    const isWithinGround = floor(from) === 1 && floor(to) === 1 && roomOf(from) !== "domain";
    return floor(to) > floor(from) || (isAcross && !isWithinGround);
  });
  t.deepEqual(wrong.map(say), []);
});

test("actions know the store and DSPy by their types alone", (t) => {
  const wrong = ours.filter(({ from, to, isType }) => roomOf(from) === "actions" && floors[roomOf(to)] === 2 && !isType);
  t.deepEqual(wrong.map(say), []);
});

test("the domain imports nothing but itself, Node, yup and re2js", (t) => {
  const wrong = imports.filter(({ from, to }) => roomOf(from) === "domain" && !/^(domain\/|node:|yup$|re2js$)/.test(to));
  t.deepEqual(wrong.map(say), []);
});

test("generated code is known to rpc and dspy alone, Sequelize to store, grpc-js to dspy, Connect to rpc", (t) => {
  const rooms: [RegExp, string[]][] = [
    [/^gen\//, ["rpc", "dspy"]],
    [/^(sequelize|umzug|pg|pg-boss)$/, ["store"]],
    [/^@grpc\/grpc-js$/, ["dspy"]],
    [/^@connectrpc\//, ["rpc"]],
  ];
  const wrong = imports.filter(({ from, to }) => rooms.some(([pattern, allowed]) => pattern.test(to) && !allowed.includes(roomOf(from))));
  t.deepEqual(wrong.map(say), []);
});
