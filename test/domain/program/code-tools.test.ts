import test from "ava";
import { checkCodeNames, codeName } from "../../../src/domain/program/code-tools.ts";
import { createViolations } from "../../../src/domain/violations.ts";

test("the code calls a tool by a name that Python takes", (t) => {
  t.is(codeName("weather.forecast"), "weather_forecast");
  t.is(codeName("2nd.get-it"), "_2nd_get_it");
  t.is(codeName("web.😀"), "web__");
  t.is(codeName("weather.forecast as get-rain"), "get_rain");
  t.is(codeName("weather.forecast as class"), "_class");
});

test("refuses tools whose names in the code collide", (t) => {
  const v = createViolations("tools");
  const tools = ["a.b", "a_b", "llm.query", "_dspy.x", "my.input", "a.b", "c.d"];
  checkCodeNames(tools, ["my_input"], ["llm_query"], v);
  t.deepEqual(
    v.list().map(({ field, reason }) => `${field} ${reason}`),
    ["tools[1] conflict", "tools[2] reserved", "tools[3] reserved", "tools[4] conflict"],
  );
});
