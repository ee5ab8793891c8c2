import { readFileSync } from "node:fs";
import test from "ava";
import { origins } from "../../../src/domain/program/revision.ts";

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");

test("the API's documentation lists exactly the origins of revisions", (t) => {
  const [, listed = ""] =
    /\/\/ ([^\n]*)\n *string origin = /.exec(read("proto/sigrun/v1/program_service.proto")) ?? [];
  const words: readonly string[] = listed.match(/\w+/g) ?? [];
  t.deepEqual(
    words.filter((word) => word !== "or"),
    [...origins],
  );
});
