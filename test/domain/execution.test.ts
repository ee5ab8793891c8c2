import test from "ava";
import { annotationsOf } from "../../src/domain/annotations.ts";
import { type Execution, executionEtag } from "../../src/domain/execution.ts";

const etagWith = (labels: Execution["labels"]) =>
  executionEtag({ ...annotationsOf({ labels }), status: "running", updatedAt: new Date(0) } as Execution);

test("the etag of a record is the one that callers hold from earlier versions", (t) => {
  t.is(etagWith({}), '"1kXewb7TsC1q687S"');
  t.is(etagWith({ team: "moods" }), '"t6lkt7wmjJJfbVfp"');
});
