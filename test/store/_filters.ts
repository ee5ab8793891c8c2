import fc from "fast-check";
import { labelKeys, names, numbers, text, times } from "./_rows.ts";

const nobody = "00000000-0000-0000-0000-000000000000";
const quoted = (value: string) => `"${value.replaceAll(/["\\]/g, "\\$&")}"`;
const word = (value: string) => (/^[A-Za-z_][\w-]*$/.test(value) ? value : quoted(value));
const path = fc
  .array(fc.constantFrom(...names).map(word), { minLength: 1, maxLength: 2 })
  .map((parts) => parts.join("."));
const label = fc.constantFrom(...labelKeys, "none").map((key) => `labels.${key}`);
const any = fc.constantFrom("=", "!=", "<", "<=", ">", ">=", ":");
const equal = fc.constantFrom("=", "!=", ":");
const wordValue = fc.oneof(
  text.map(quoted),
  text.filter((value) => /^[\w.]+$/.test(value) && value !== "true"),
);

const comparison = fc.oneof(
  compared(
    fc.constantFrom("status"),
    equal,
    fc.constantFrom("PENDING", "COMPLETED", "EXECUTION_STATUS_FAILED", '"RUNNING"'),
  ),
  compared(fc.constantFrom("program_id"), equal, fc.constantFrom("one", '"two"', "nobody", nobody)),
  compared(fc.constantFrom("id", "request_id"), equal, fc.constant(nobody)),
  compared(fc.constantFrom("error_message", "error_reason", "model", "finish_reason"), any, wordValue),
  compared(label, any, wordValue),
  compared(
    fc.constantFrom("labels", "inputs", "outputs"),
    fc.constant(":"),
    fc.constantFrom(...labelKeys, ...names).map(word),
  ),
  compared(
    fc.constantFrom("revision", "token_usage.input_tokens", "token_usage.total_tokens"),
    any,
    fc.constantFrom("0", "1", "1.5", "-1", "1e2", "1e30"),
  ),
  compared(fc.constantFrom("duration_ms"), any, fc.constantFrom("0", "1500", "1.5s", '"60s"', "0.5")),
  compared(fc.constantFrom("duration_seconds"), any, fc.constantFrom("0", "0.001", "1.5", "1.5s")),
  compared(
    fc.constantFrom("created_at", "started_at", "completed_at", "updated_at"),
    any,
    fc.constantFrom(...times.map(quoted), "2026-11-24T12:00:00+01:00", "2026-11-24T10:00:00.000500Z"),
  ),
  compared(
    fc.tuple(fc.constantFrom("inputs", "outputs"), path).map((parts) => parts.join(".")),
    any,
    fc.oneof(wordValue, fc.constantFrom(...numbers).map(String)),
  ),
  compared(
    fc.tuple(fc.constantFrom("inputs", "outputs"), path).map((parts) => parts.join(".")),
    equal,
    fc.constantFrom("true", "false"),
  ),
  compared(
    fc.oneof(
      fc.constantFrom("steps.module", "steps.outputs", "steps.raw_answer"),
      path.map((member) => `steps.outputs.${member}`),
    ),
    fc.constant(":"),
    fc.oneof(wordValue, fc.constantFrom("predict", "GUESS", "tags", "1", "true")),
  ),
  fc
    .oneof(
      label,
      path.map((member) => `outputs.${member}`),
      path.map((member) => `steps.outputs.${member}`),
      fc.constantFrom("steps.module", "steps.raw_answer"),
      fc.constantFrom("outputs", "labels", "model", "completed_at", "duration_ms", "status"),
    )
    .map((field) => `${field}:*`),
);

function compared(
  field: fc.Arbitrary<string>,
  sign: fc.Arbitrary<string>,
  value: fc.Arbitrary<string>,
): fc.Arbitrary<string> {
  return fc.tuple(field, sign, value).map((parts) => parts.join(" "));
}

/** Filters that combine these comparisons. */
function filtersOf(comparison: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.letrec<{ filter: string }>((tie) => ({
    filter: fc.oneof(
      { maxDepth: 4, depthSize: "small" },
      comparison,
      tie("filter").map((one) => `NOT (${one})`),
      comparison.map((one) => `-${one}`),
      ...[" AND ", " OR ", " "].map((between) =>
        fc.array(tie("filter"), { minLength: 2, maxLength: 3 }).map((all) => `(${all.join(between)})`),
      ),
    ),
  })).filter;
}

const programStatus = compared(
  fc.constant("status"),
  equal,
  fc.constantFrom("DRAFT", "READY", "PROGRAM_STATUS_OPTIMIZED", "ERROR"),
);
const failed = [
  compared(fc.constant("error_reason"), any, fc.constantFrom('""', "PROGRAM_INVALID")),
  compared(fc.constant("error_message"), any, wordValue),
];

const programComparison = fc.oneof(
  programStatus,
  ...failed,
  compared(fc.constant("status"), equal, fc.constant("DEPLOYED")),
  compared(
    fc.constantFrom("handle", "name", "description"),
    any,
    fc.oneof(wordValue, fc.constantFrom('"asked-1"', "ASKED")),
  ),
  compared(label, any, wordValue),
  compared(fc.constantFrom("revision", "deployed_revision"), any, fc.constantFrom("0", "1", "1.5")),
  compared(fc.constant("performance_metrics.score"), any, fc.constantFrom("0", "0.25", "0.5", "1", '"1"')),
  compared(fc.constant("created_at"), any, fc.constantFrom(...times.map(quoted))),
  fc
    .constantFrom(
      "deployed_revision",
      "performance_metrics",
      "performance_metrics.score",
      "labels",
      "labels.team",
      "description",
      "error_reason",
    )
    .map((field) => `${field}:*`),
);

const revisionComparison = fc.oneof(
  programStatus,
  ...failed,
  compared(fc.constant("number"), any, fc.constantFrom("1", "5", "7.5", "1e2")),
  compared(fc.constant("origin"), any, fc.constantFrom("created", "updated", "OPTIMIZED")),
  compared(fc.constant("score"), any, fc.constantFrom("0", "0.25", "0.5", "1", "0.1")),
  compared(fc.constant("created_at"), any, fc.constantFrom(...times.map(quoted))),
  fc.constantFrom("score", "error_message", "origin").map((field) => `${field}:*`),
);

/** Valid filters, over every kind of field. */
export const filter = filtersOf(comparison);
export const programFilter = filtersOf(programComparison);
export const revisionFilter = filtersOf(revisionComparison);
