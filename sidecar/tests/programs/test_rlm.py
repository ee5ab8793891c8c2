import asyncio
import inspect
import json
import sys
from pathlib import Path

import pytest_asyncio
from outcomes import done
from process import running, scripted
from programs import asked, capital
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.programs.code_tools import CodeTool, python_name
from dspy_sidecar.tools.tools import Tool

WHAT = {"question": "Six times seven?"}
SUBMIT = {"reasoning": "I am done", "code": "SUBMIT(answer=str(said))"}


@pytest_asyncio.fixture(scope="module")
async def enabled(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mcp")
    server = {
        "command": sys.executable,
        "args": [str(Path(__file__).parents[1] / "mcp_server.py"), "stdio"],
        "env": {"MCP_TEST_DIR": str(folder)},
    }
    (folder / "mcp.json").write_text(json.dumps({"mcpServers": {"weather": server}}))
    env = {"SIGRUN_GENERATED_CODE": "on", "SIGRUN_LM_ALLOWED": "openai/small,openai/tiny"}
    env["SIGRUN_MCP_SERVERS"] = str(folder / "mcp.json")
    async with running({**scripted(model.url), **env}) as stub:
        yield stub


def exploring(**sub_lm) -> pb.Program:
    made = capital("RLM")
    if sub_lm:
        made.modules[0].lms["sub_lm"].CopyFrom(pb.LmSettings(**sub_lm))
    return made


def turn(code: str) -> dict:
    return {"reasoning": "I look", "code": f"```python\n{code}\n```"}


def replies(request: dict):
    """The code asks two models at once; each says who it is."""
    text = str(request["messages"])
    if "Who are you" in text and "REPL" not in text:
        return request["model"]
    return SUBMIT if "Iteration" not in text and "I look" in text else ASK


ASK = turn('said = llm_query_batched(["Who are you, a?", "Who are you, b?"])\nprint(said)')


async def test_the_code_asks_the_model_of_the_role_with_its_settings(enabled, model):
    model.script(replies)
    before = len(model.requests)
    made = exploring(model="openai/small", max_tokens=77)
    end = await done(enabled.run(asked(made, pb.LmSettings(temperature=0.5), **WHAT)))
    assert json.loads(end.outputs) == {"answer": "['small', 'small']"}
    sent = [(one["model"], one.get("max_completion_tokens")) for one in model.requests[before:]]
    assert sorted(sent, key=str) == 2 * [("scripted", None)] + 2 * [("small", 77)]
    # The settings of the call hold for both, where the role has none.
    assert {one["temperature"] for one in model.requests[before:]} == {0.5}
    assert end.trace.token_usage.lm_calls == 4


async def test_runs_at_the_same_time_ask_the_models_of_their_own_roles(enabled, model):
    model.script(replies)
    made = [exploring(model="openai/small"), exploring(model="openai/tiny"), exploring()]
    ends = await asyncio.gather(*(done(enabled.run(asked(one, **WHAT))) for one in made))
    said = [json.loads(end.outputs)["answer"] for end in ends]
    assert said == ["['small', 'small']", "['tiny', 'tiny']", "['scripted', 'scripted']"]


async def test_the_code_calls_tools_and_reads_their_failures(enabled, model):
    made = capital("RLM")
    made.modules[0].tools.extend(["weather.forecast as rain", "weather.broken"])
    code = 'said = [rain("Oslo"), rain(city="Bonn", days=2), weather_broken()]'
    model.script(turn(code), SUBMIT)
    before = len(model.requests)
    end = await done(enabled.run(asked(made, **WHAT)))
    said = json.loads(end.outputs)["answer"]
    assert "Oslo: rain for 1 day(s)" in said
    assert "Bonn: rain for 2 day(s)" in said
    assert "Error: Error executing tool broken: no such place" in said
    told = str(model.requests[before]["messages"])
    assert "rain(city: string, days: integer)" in told
    assert "What the weather will be." in told


def test_a_tool_has_names_that_python_takes():
    def call(**given):
        return given

    args = {"in": {"type": "string"}, "max-size": {"type": "integer"}, "max_size": {}}
    tool = Tool(func=call, name="2nd.get-it", desc="Gets it.", args=args)
    tool.required = frozenset({"max-size"})
    made = CodeTool(tool)
    assert python_name("class") == "_class"
    assert (made.name, python_name("weather.forecast")) == ("_2nd_get_it", "weather_forecast")
    assert str(inspect.signature(made.func)) == "(max_size, _in=None, max_size_=None)"
