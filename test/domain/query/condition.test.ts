import test from "ava";
import { Invalid } from "../../../src/domain/faults.ts";
import { readCondition } from "../../../src/domain/query/condition.ts";
import { executionFields, programFields } from "../../../src/domain/query/queryable.ts";

const read: readonly [filter: string, compared: object][] = [
  ["status = EXECUTION_STATUS_FAILED", { op: "=", value: "failed" }],
  ["status : FAILED", { op: "=", value: "failed" }],
  ["duration_ms > 500", { op: ">", value: 500 }],
  ["duration_ms > 1.001s", { op: ">", value: 1001 }],
  ["duration_seconds > 1.5", { op: ">", value: 1500 }],
  ["duration_seconds > '2s'", { op: ">", value: 2000 }],
  ["created_at < 2026-11-24T11:00:00.5+01:00", { op: "<", value: "2026-11-24T10:00:00.500000Z" }],
  ["inputs.n = 5", { op: "=", value: 5 }],
  ["inputs.n = '5'", { op: "=", value: "5" }],
  ["inputs.n = true", { op: "=", value: true }],
  ['outputs.scores."a b" : x', { op: "has", value: "x", text: "x" }],
  ["steps.outputs.reasoning : x", { op: "has", value: "x", text: "x" }],
  ["labels.a.b = 1", { op: "=", value: "1" }],
  ["program_id = rain", { op: "=", value: "rain" }],
  ["id = 00000000-0000-0000-0000-00000000000A", { op: "=", value: "00000000-0000-0000-0000-00000000000a" }],
];

for (const [filter, compared] of read)
  test(`${filter} has a value of the field's own`, (t) =>
    t.like(readCondition(filter, executionFields), compared));

const refused: readonly [filter: string, fault: RegExp][] = [
  ["colour = red", /^at position 1: expected one of id, .*; unknown field colour$/],
  ["status = COMPLETED AND statu = FAILED", /^at position 24: expected one of id, .*; unknown field statu$/],
  [
    "status.x = 1",
    /^at position 8: expected the end of the path: status has no members; unknown field status.x$/,
  ],
  [
    "status = DONE",
    /^at position 10: expected one of PENDING, RUNNING, COMPLETED, FAILED, CANCELLED, as status is one$/,
  ],
  ["status < FAILED", /^at position 10: expected =, != or : before this, as status has no order$/],
  ["id > 1", /^at position 6: expected =, != or : before this, as id has no order$/],
  ["id = 1", /^at position 6: expected a UUID, as id is one$/],
  ["program_id = 'A B'", /^at position 14: expected a program's UUID or handle, as program_id is one$/],
  ["revision = one", /^at position 12: expected a number without quotes, as revision is one$/],
  ["revision = 1e999", /^at position 12: expected a number without quotes, as revision is one$/],
  [
    "duration_ms > 5m",
    /^at position 15: expected a number or a duration such as 1.5s, as duration_ms is one$/,
  ],
  [
    "created_at > 2026-02-30T00:00:00Z",
    /^at position 14: expected a time such as 2026-11-24T10:00:00Z, to the microsecond at most, as created_at is one$/,
  ],
  ["created_at > 2026-11-24", /^at position 14: expected a time/],
  ["inputs = 1", /^at position 1: expected a member of inputs, such as inputs.field$/],
  ["labels > 1", /^at position 1: expected a member of labels, such as labels.team$/],
  ["inputs.n > true", /^at position 12: expected a number or a text after < and >$/],
  ["steps.module = predict", /^at position 16: expected : before this, as steps.module is of each step$/],
  ["steps : predict", /^at position 1: expected one of id, .*; unknown field steps$/],
  ["__proto__ = 1", /^at position 1: expected one of id, .*; unknown field __proto__$/],
];

for (const [filter, fault] of refused)
  test(`${filter} is refused with the position and what was expected`, (t) => {
    const { reason, violations } = t.throws(() => readCondition(filter, executionFields), {
      instanceOf: Invalid,
    }) as Invalid;
    t.is(reason, "FILTER_INVALID");
    t.regex(violations[0]?.description ?? "", fault);
  });

test("a program's scores are asked for by their path", (t) => {
  t.like(readCondition("performance_metrics.score > 0.5", programFields), {
    op: ">",
    target: { field: "performance_metrics", path: ["score"] },
    value: 0.5,
  });
});
