import asyncio
import inspect
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import dspy
import pytest
import pytest_asyncio
from dspy.primitives.python_interpreter import CodeInterpreterError
from outcomes import chunk_texts, done, failure, streamed
from process import SIDECAR, running, scripted
from programs import STR, asked, capital, signature

from dspy_sidecar.faults import NotEnabledError
from dspy_sidecar.interpreter import interpreter as interpreter_module
from dspy_sidecar.interpreter.interpreter import (
    FOLDER,
    MAX_CHARACTERS,
    PYODIDE,
    RUNNER,
    Interpreter,
    killed_at_the_end,
)
from dspy_sidecar.programs.annotations import signature_class
from dspy_sidecar.programs.generated_code import code_module

MODULES = ["ProgramOfThought", "CodeAct", "RLM"]
WHAT = {"question": "Six times seven?"}
ANSWER = {"reasoning": "the code says so", "answer": "42"}
CODE = {"reasoning": "I multiply", "generated_code": '```python\nSUBMIT({"answer": 6 * 7})\n```'}
ENDLESS = {"reasoning": "I think", "generated_code": "while True:\n    pass"}


@pytest_asyncio.fixture(scope="module")
async def enabled(model):
    async with running({**scripted(model.url), "SIGRUN_GENERATED_CODE": "on"}) as stub:
        yield stub


def interpreters() -> list[str]:
    """The process ids of the interpreters of this checkout."""

    def line(pid: str) -> str:
        try:
            return Path(f"/proc/{pid}/cmdline").read_text()
        except OSError:
            return ""

    return [
        pid
        for pid in os.listdir("/proc")
        if pid.isdigit() and str(FOLDER / "imports.json") in line(pid)
    ]


async def are_gone() -> None:
    async with asyncio.timeout(10):
        while interpreters():
            await asyncio.sleep(0.05)


async def test_program_of_thought_answers_by_its_codes_result(enabled, model):
    model.script(CODE, ANSWER)
    end = await done(enabled.run(asked(capital("ProgramOfThought"), **WHAT)))
    assert json.loads(end.outputs) == {"answer": "42"}
    assert json.loads(end.trace.steps[0].outputs) == ANSWER
    assert '{"answer": 42}' in str(model.requests[-1]["messages"])
    assert end.trace.token_usage.lm_calls == 2
    assert interpreters() == []


async def test_failed_code_is_written_again_and_fails_the_run_if_every_attempt_fails(
    enabled, model
):
    wrong = {"reasoning": "hm", "generated_code": "1 / 0"}
    model.script(wrong, CODE, ANSWER)
    made = capital("ProgramOfThought")
    assert json.loads((await done(enabled.run(asked(made, **WHAT)))).outputs) == {"answer": "42"}
    assert "ZeroDivisionError" in str(model.requests[-2]["messages"])
    model.script(wrong)
    _, reason, _, message, traces = await failure(enabled.run(asked(made, **WHAT)))
    assert (reason, message) == (
        "OUTPUT_INVALID",
        "the code that the model wrote can't be run to its end",
    )
    assert traces[-1].token_usage.lm_calls == 3


async def test_code_act_runs_code_in_turns(enabled, model):
    first = {"generated_code": "six = 6\nprint(six)", "finished": False}
    second = {"generated_code": "print(six * 7)", "finished": True}
    model.script(first, second, ANSWER)
    end = await done(enabled.run(asked(capital("CodeAct"), **WHAT)))
    assert json.loads(end.outputs) == {"answer": "42"}
    assert "42" in json.loads(end.trace.steps[0].outputs)["trajectory"]["code_output_1"]


async def test_rlm_explores_its_inputs_by_code_that_asks_the_model(enabled, model):
    look = {
        "reasoning": "I look",
        "code": '```python\nsaid = llm_query("Say 42")\nprint(len(question), said)\n```',
    }
    submit = {"reasoning": "I am done", "code": "```python\nSUBMIT(answer=said)\n```"}
    model.script(look, "forty-two", submit)
    end = await done(enabled.run(asked(capital("RLM"), **WHAT)))
    assert json.loads(end.outputs) == {"answer": "forty-two"}
    made = json.loads(end.trace.steps[0].outputs)
    assert made["final_reasoning"] == "I am done"
    assert f"{len(WHAT['question'])} forty-two" in made["trajectory"][0]["output"]
    assert end.trace.token_usage.lm_calls == 3


async def test_the_chunks_hold_the_answer_and_not_the_code(enabled, model):
    model.script(CODE, ANSWER)
    request = asked(capital("ProgramOfThought"), **WHAT)
    request.chunks = True
    events, _ = await streamed(enabled.run(request))
    assert chunk_texts(events) == ANSWER


async def test_endless_code_ends_with_its_run(enabled, model):
    model.script(ENDLESS)
    call = enabled.run(asked(capital("ProgramOfThought"), **WHAT))
    reading = asyncio.ensure_future(done(call))
    async with asyncio.timeout(30):
        while not interpreters():
            await asyncio.sleep(0.02)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await are_gone()


async def test_a_run_that_waits_for_an_interpreter_can_be_cancelled_alone(enabled, model):
    model.script(ENDLESS)
    calls = [enabled.run(asked(capital("ProgramOfThought"), **WHAT)) for _ in range(6)]
    reading = [asyncio.ensure_future(done(call)) for call in calls]
    async with asyncio.timeout(60):
        while len(interpreters()) < 4:
            await asyncio.sleep(0.05)
    model.script({"answer": "Paris"})
    await done(enabled.run(asked(capital(), **WHAT)))
    async with asyncio.timeout(10):
        # One that becomes Deno has no command line for a moment.
        while len(interpreters()) != 4:
            await asyncio.sleep(0.05)
    for call in calls:
        call.cancel()
    await asyncio.gather(*reading, return_exceptions=True)
    await are_gone()


OUTSIDE = {
    "a file": "js.Deno.readTextFileSync('/etc/passwd')",
    "a file of Pyodide's": f"js.Deno.readTextFileSync('{PYODIDE}/package.json')",
    "the network": "await js.fetch('http://127.0.0.1:8080')",
    "the environment": "js.Deno.env.get('HOME')",
    "a process": "js.Deno.Command.new('/bin/ls').outputSync()",
    "Node's modules": "js.process.getBuiltinModule('fs').readFileSync('/etc/passwd')",
}


def test_code_has_no_access_to_network_files_environment_or_processes():
    with killed_at_the_end():
        made = Interpreter()
        for what, reach in OUTSIDE.items():
            said = made.execute(
                f"import js\ntry:\n    {reach}\nexcept BaseException as e:\n    print(e)\n"
                "else:\n    print('reached')"
            )
            assert re.search(r"Requires \w+ access to", said), (what, said)
        assert (
            made.execute("import os\nprint(os.listdir('/'))").strip()
            == "['tmp', 'home', 'dev', 'proc', 'lib']"
        )


def test_code_has_limits_of_memory_and_printed_text():
    with killed_at_the_end():
        made = Interpreter()
        with pytest.raises(CodeInterpreterError, match="MemoryError"):
            made.execute("x = bytearray(1 << 30)")
        assert made.execute("print('as before')").strip() == "as before"
        with pytest.raises(CodeInterpreterError, match="has printed more than"):
            made.execute(f"print('x' * {MAX_CHARACTERS})")


def test_an_interpreter_ends_with_its_parent_process():
    code = (
        "from dspy_sidecar.interpreter.interpreter import Interpreter; "
        "Interpreter().execute('while True: pass')"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=SIDECAR)
    until = time.monotonic() + 30
    while not interpreters() and time.monotonic() < until:
        time.sleep(0.02)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until = time.monotonic() + 5
    while interpreters() and time.monotonic() < until:
        time.sleep(0.02)
    assert interpreters() == []


def test_every_import_of_dspys_runner_is_installed():
    imported = set(re.findall(r'^import .* from "([^"]+)"', RUNNER.read_text(), re.MULTILINE))
    assert imported == set(json.loads((FOLDER / "imports.json").read_text())["imports"])
    version = json.loads((FOLDER / "package.json").read_text())["dependencies"]["pyodide"]
    assert f"npm:pyodide@{version}/pyodide.js" in imported


@pytest.mark.parametrize("kind", MODULES)
async def test_refuses_modules_that_run_code_until_they_are_switched_on(sidecar, kind):
    _, reason, _, message, _ = await failure(sidecar.run(asked(capital(kind), **WHAT)))
    assert reason == "NOT_ENABLED"
    assert (
        message == f"{kind} runs code that the model writes: "
        "the operator has not switched that on (SIGRUN_GENERATED_CODE=on)"
    )


@pytest.mark.parametrize(
    ("what", "value", "says"),
    [("deno", lambda: None, "Deno is"), ("PYODIDE", FOLDER / "x", "Pyodide is")],
)
def test_refuses_modules_that_run_code_if_the_interpreter_is_missing(
    monkeypatch, what, value, says
):
    monkeypatch.setenv("SIGRUN_GENERATED_CODE", "on")
    monkeypatch.setattr(interpreter_module, what, value)
    with pytest.raises(NotEnabledError, match=f"{says} missing"):
        code_module("RLM", signature_class(signature({"q": STR}, {"a": STR})), {})


def test_the_state_of_modules_that_run_code_is_dspys_own(monkeypatch):
    monkeypatch.setenv("SIGRUN_GENERATED_CODE", "on")
    over = signature_class(signature({"question": STR}, {"answer": STR}))
    own = {
        "ProgramOfThought": dspy.ProgramOfThought(over),
        "CodeAct": dspy.CodeAct(over, []),
        "RLM": dspy.RLM(over),
    }
    for kind in MODULES:
        made = code_module(kind, over, {})
        assert set(made.dump_state()) == set(own[kind].dump_state())
        made.load_state(own[kind].dump_state())


def test_the_catalogues_parameters_are_dspys_own():
    def defaults(module) -> dict[str, object]:
        given = inspect.signature(module.__init__).parameters
        return {
            name: given[name].default
            for name in ("max_iters", "max_llm_calls", "max_output_chars")
            if name in given
        }

    assert defaults(dspy.ReAct) == {"max_iters": 20}
    assert defaults(dspy.ProgramOfThought) == {"max_iters": 3}
    assert defaults(dspy.CodeAct) == {"max_iters": 5}
    assert defaults(dspy.RLM) == {"max_iters": 20, "max_llm_calls": 50, "max_output_chars": 10_000}


@pytest.mark.parametrize("kind", [*MODULES, "ReAct"])
def test_the_catalogue_reserves_every_field_of_a_modules_own_predictors(monkeypatch, kind):
    """No field of a signature may have the name of a field of a module's own predictors."""
    monkeypatch.setenv("SIGRUN_GENERATED_CODE", "on")
    over = signature_class(signature({"question": STR}, {"answer": STR}))
    made = dspy.ReAct(over, []) if kind == "ReAct" else code_module(kind, over, {})
    fields = {name for predictor in made.predictors() for name in predictor.signature.fields}
    text = (SIDECAR.parent / "src/domain/catalogue/modules.ts").read_text()
    entry = text[text.index(f'name: "{kind}"') :]
    entry = entry[: entry.index("\n  },")]
    assert fields - {"question", "answer"} <= set(
        re.findall(r"\w+", entry[entry.index("makes:") :])
    )
