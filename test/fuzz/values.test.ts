import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import test from "ava";
import fc from "fast-check";
import type { Json } from "../../src/domain/json.ts";
import { compileSchema } from "../../src/domain/signature/schema.ts";
import type { Field } from "../../src/domain/signature/signature.ts";
import { programMessage } from "../../src/dspy/definition.ts";
import { ProgramSchema } from "../../src/gen/sigrun/sidecar/v1/sidecar_service_pb.ts";
import { looseJson, typedValues } from "../_typed-values.ts";

type Case = { fields: Field[]; values: Record<string, Json> };
type Outcome = { values?: Json; violations?: [path: string, reason: string, description: string][] };

const sidecar = join(import.meta.dirname, "../../sidecar");
const cases = Number(process.env.SIGRUN_FUZZ_VALUES ?? 10_000);

/** A case as a line of JSON; the types and constraints travel as in a program. */
function lineOf({ fields, values }: Case): string {
  const signature = { name: "Test", instructions: "", inputs: [], outputs: fields };
  const message = programMessage("id", {
    signature,
    modules: [],
    lm: {},
    compiledState: "",
    outputs: [],
  } as never);
  const program = Buffer.from(toBinary(ProgramSchema, create(ProgramSchema, message))).toString("base64");
  return `{"program":"${program}","values":${looseJson(values)}}`;
}

/** The outcomes of the cases by the sidecar's table. */
function checkInPython(lines: readonly string[]): Outcome[] {
  const { stdout, stderr, status } = spawnSync(
    join(sidecar, ".venv/bin/python"),
    [join(sidecar, "tests/checked_values.py")],
    {
      input: lines.join("\n"),
      encoding: "utf8",
      maxBuffer: 2 ** 28,
      env: { ...process.env, PYTHONPATH: [sidecar, join(sidecar, "gen")].join(":") },
    },
  );
  if (status !== 0) throw new Error(stderr);
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

function checkHere({ fields, values }: Case): Outcome {
  const checked = compileSchema(fields).validate(values);
  // As the values go on, in JSON: -0 is 0 there.
  if (checked.ok) return { values: JSON.parse(JSON.stringify(checked.values)) };
  return {
    violations: checked.violations.map(({ field, reason, description }) => [field, reason, description]),
  };
}

/** The outcome with its violations by path. The gateway adds further faults to an unknown field. */
function comparable({ values, violations }: Outcome): Outcome {
  if (!violations) return { values: values as Json };
  const told = violations.map(([path, reason, description]): [string, string, string] =>
    reason === "unknown" ? [path, reason, ""] : [path, reason, description],
  );
  return { violations: told.sort(([one], [other]) => (one < other ? -1 : 1)) };
}

test("the sidecar takes, coerces and refuses exactly the values that the gateway does", (t) => {
  t.timeout(30_000 + 10 * cases);
  const seed = Number(process.env.SIGRUN_FUZZ_SEED ?? randomInt(2 ** 31));
  t.log(`seed ${seed}, ${cases} signatures with values`);
  const made: Case[] = fc.sample(typedValues, { seed, numRuns: cases });
  const outcomes = checkInPython(made.map(lineOf));
  t.is(outcomes.length, cases);
  const refused = outcomes.filter(({ violations }) => violations).length;
  t.log(`${cases - refused} taken, ${refused} refused`);
  t.true(refused > cases / 10 && refused < (cases * 9) / 10, "the cases are of both kinds");
  for (const [index, one] of made.entries())
    t.deepEqual(comparable(outcomes[index] as Outcome), comparable(checkHere(one)), lineOf(one));
});
