import asyncio
import json
import os
import sys
from pathlib import Path

import dspy
import pytest
import pytest_asyncio
from outcomes import chunk_texts, done, failure, streamed
from process import running, scripted
from programs import STR, asked, capital, signature
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.programs import react
from dspy_sidecar.programs.annotations import signature_class
from dspy_sidecar.tools import tools
from dspy_sidecar.tools.mcp_servers import Http, Stdio

SERVER = str(Path(__file__).parents[1] / "mcp_server.py")
WHERE = {"question": "Rain in Oslo?"}
CAPITAL = signature({"question": STR}, {"answer": STR})


@pytest_asyncio.fixture(scope="module")
async def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("mcp")


@pytest_asyncio.fixture(scope="module")
async def armed(model, folder):
    """A sidecar with an MCP server that is there and one that is not."""
    servers = {
        "weather": {
            "command": sys.executable,
            "args": [SERVER, "stdio"],
            "env": {"MCP_TEST_DIR": str(folder)},
        },
        "gone": {"url": "http://127.0.0.1:9/mcp"},
    }
    file = folder / "mcp.json"
    file.write_text(json.dumps({"mcpServers": servers}))
    async with running({**scripted(model.url), "SIGRUN_MCP_SERVERS": str(file)}) as stub:
        await only_away(stub, "gone")
        yield stub


async def only_away(stub, *names: str) -> None:
    async with asyncio.timeout(60):
        while list((await stub.GetInfo(pb.GetInfoRequest())).tool_servers_away) != list(names):
            await asyncio.sleep(0.05)


def acting(*names: str, max_iters: int = 5, **settings) -> pb.Program:
    made = capital("ReAct", **settings)
    made.modules[0].tools.extend(names)
    made.modules[0].params = json.dumps({"max_iters": max_iters}).encode()
    return made


def step(tool: str, **args) -> dict:
    return {"next_thought": f"I call {tool}", "next_tool_name": tool, "next_tool_args": args}


ANSWER = {"reasoning": "the tool says so", "answer": "Yes, rain."}


async def test_the_handshake_lists_tools_and_unreachable_servers(armed):
    info = await armed.GetInfo(pb.GetInfoRequest())
    assert {tool.name: tool.description for tool in info.tools}[
        "weather.forecast"
    ] == "What the weather will be."
    assert list(info.tool_servers_away) == ["gone"]


async def test_react_calls_tools_until_it_finishes_and_records_its_trajectory(armed, model):
    model.script(step("weather.forecast", city="Oslo", days=3), step("finish"), ANSWER)
    end = await done(armed.run(asked(acting("weather.forecast"), **WHERE)))
    assert json.loads(end.outputs) == {"answer": "Yes, rain."}
    made = json.loads(end.trace.steps[0].outputs)
    assert made["reasoning"] == "the tool says so"
    assert made["trajectory"]["tool_args_0"] == {"city": "Oslo", "days": 3}
    assert made["trajectory"]["observation_0"] == "Oslo: rain for 3 day(s)"
    assert made["trajectory"]["observation_1"] == "Completed."
    assert end.trace.token_usage.lm_calls == 3
    assert "Oslo: rain for 3 day(s)" in str(model.requests[-1]["messages"])
    assert "What the weather will be." in str(model.requests[-2]["messages"])


async def test_the_model_is_told_of_a_tools_errors_and_its_own(armed, model):
    wrong = [
        step("weather.broken"),
        step("gone.x"),
        step("weather.forecast", days=[]),
        step("finish", answer="Yes"),
    ]
    model.script(*wrong, ANSWER)
    made = acting("weather.forecast", "weather.broken", "gone.x")
    trajectory = json.loads((await done(armed.run(asked(made, **WHERE)))).trace.steps[0].outputs)[
        "trajectory"
    ]
    observations = [trajectory[f"observation_{number}"] for number in range(4)]
    assert observations[0].endswith("no such place")
    assert observations[1] == "Error: the tool's server gone can't be reached right now"
    assert observations[2].startswith("Error: Arg days is invalid")
    assert observations[3].startswith("Error: Arg answer is not in the tool's args")
    assert "Traceback" not in str(trajectory)


async def test_the_model_is_told_that_a_server_died_and_the_next_run_reaches_it_again(armed, model):
    made = acting("weather.crash", "weather.forecast")
    model.script(step("weather.crash"), step("finish"), ANSWER)
    end = await done(armed.run(asked(made, **WHERE)))
    assert "Error: the tool's call failed" in end.trace.steps[0].outputs.decode()
    await only_away(armed, "gone")
    model.script(step("weather.forecast", city="Oslo"), step("finish"), ANSWER)
    end = await done(armed.run(asked(made, **WHERE)))
    assert "Oslo: rain" in end.trace.steps[0].outputs.decode()


async def test_react_ends_after_max_iters(armed, model):
    looping = step("weather.forecast", city="Oslo")
    model.script(looping, looping, ANSWER)
    end = await done(armed.run(asked(acting("weather.forecast", max_iters=2), **WHERE)))
    assert json.loads(end.outputs) == {"answer": "Yes, rain."}
    assert end.trace.token_usage.lm_calls == 3


async def test_cancelling_a_run_cancels_the_call_of_the_tool(armed, model, folder):
    for name in ("started", "cancelled"):
        (folder / name).unlink(missing_ok=True)
    model.script(step("weather.slow"))
    call = armed.run(asked(acting("weather.slow"), **WHERE))
    reading = asyncio.ensure_future(done(call))
    async with asyncio.timeout(10):
        while not (folder / "started").exists():
            await asyncio.sleep(0.02)
        call.cancel()
        while not (folder / "cancelled").exists():
            await asyncio.sleep(0.02)
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_a_failed_run_reports_its_tokens(armed, model):
    model.script(step("weather.forecast", city="Oslo"), (401, {"message": "no"}, {}))
    _, reason, *_, traces = await failure(armed.run(asked(acting("weather.forecast"), **WHERE)))
    assert reason == "LM_AUTH_FAILED"
    assert traces[-1].token_usage.lm_calls == 2
    assert traces[-1].token_usage.output_tokens == 12


async def test_the_chunks_of_react_add_up_to_its_outputs(armed, model):
    model.script(step("weather.forecast", city="Oslo"), step("finish"), ANSWER)
    request = asked(acting("weather.forecast"), **WHERE)
    request.chunks = True
    events, end = await streamed(armed.run(request))
    assert chunk_texts(events) == ANSWER
    assert len([event for event in events if event.HasField("chunk")]) > 2
    assert not [event for event in events if event.HasField("reset")]
    assert json.loads(end.outputs) == {"answer": "Yes, rain."}


async def test_refuses_an_unknown_tool_and_lists_the_known_ones(armed):
    _, reason, _, message, _ = await failure(armed.run(asked(acting("weather.nope"), **WHERE)))
    assert reason == "BUILD_FAILED"
    assert message.startswith("unknown tool weather.nope; expected one of weather.forecast")


async def test_reacts_state_has_the_form_of_dspys_own(armed, model, monkeypatch):
    own = dspy.ReAct(signature_class(CAPITAL), [forecast_tool()], 5)
    own.extract.predict.demos = [
        dspy.Example(**WHERE, trajectory="x", reasoning="y", answer="A demo's answer.")
    ]
    state = own.dump_state()
    assert set(state) == {"react", "extract.predict"}
    model.script(step("finish"), ANSWER)
    made = acting("weather.forecast", compiled_state=json.dumps(state))
    await done(armed.run(asked(made, **WHERE)))
    assert "A demo's answer." in str(model.requests[-1]["messages"])
    monkeypatch.setattr(
        react, "toolbox", lambda: tools.Toolbox({"weather": Http(url="http://127.0.0.1:9")})
    )
    assert set(react.ReAct(signature_class(CAPITAL), ["weather.forecast"], 5).dump_state()) == set(
        state
    )


def forecast_tool() -> dspy.Tool:
    return dspy.Tool(lambda city: city, name="weather.forecast", args={"city": {"type": "string"}})


async def test_react_also_runs_in_an_optimizers_thread(model, monkeypatch):
    box = tools.Toolbox({"weather": Stdio(command=sys.executable, args=[SERVER, "stdio"])})
    async with asyncio.timeout(60):
        while box.unreachable():
            await asyncio.sleep(0.05)
    monkeypatch.setattr(react, "toolbox", lambda: box)
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    acts = react.ReAct(signature_class(CAPITAL), ["weather.forecast"], 5)
    lm = dspy.LM("openai/scripted", api_base=model.url, cache=False)
    model.script(step("weather.forecast", city="Oslo"), step("finish"), ANSWER)

    def run() -> dspy.Prediction:
        with dspy.context(lm=lm, adapter=dspy.ChatAdapter(), disable_history=True, trace=None):
            return acts(**WHERE)

    made = await asyncio.to_thread(run)
    await box.close()
    assert made.trajectory["observation_0"] == "Oslo: rain for 1 day(s)"


async def test_a_program_is_built_again_when_a_server_lists_its_tool(model, tmp_path):
    """The server is a script that is there only later."""
    later = tmp_path / "later.py"
    server = {"command": sys.executable, "args": [str(later), "stdio"]}
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"weather": server}}))
    async with running(
        {**scripted(model.url), "SIGRUN_MCP_SERVERS": str(tmp_path / "mcp.json")}
    ) as stub:
        made = acting("weather.forecast")
        await stub.LoadProgram(pb.LoadProgramRequest(program=made))
        by_id = pb.Run(program_id=made.id, inputs=json.dumps(WHERE).encode())
        model.script(step("weather.forecast", city="Oslo"), step("finish"), ANSWER)
        assert (
            "can't be reached right now"
            in (await done(stub.run(by_id))).trace.steps[0].outputs.decode()
        )
        os.symlink(SERVER, later)
        await only_away(stub)
        assert (await failure(stub.run(by_id)))[1] == "PROGRAM_NOT_LOADED"
        model.script(step("weather.forecast", city="Oslo"), step("finish"), ANSWER)
        await done(stub.run(asked(made, **WHERE)))
        assert "What the weather will be." in str(model.requests[-2]["messages"])


async def test_a_tool_runs_under_the_name_that_its_module_gives_it(armed, model):
    model.script(step("forecast", city="Oslo"), step("finish"), ANSWER)
    end = await done(armed.run(asked(acting("weather.forecast as forecast"), **WHERE)))
    assert "Oslo: rain for 1 day(s)" in end.trace.steps[0].outputs.decode()
    assert "(1) forecast, whose description" in str(model.requests[-2]["messages"])
    exported = await armed.ExportProgram(
        pb.ExportProgramRequest(program=acting("weather.forecast as forecast"), handle="acting")
    )
    assert 'tool("forecast", "What the weather will be.", {"city": ' in exported.source
