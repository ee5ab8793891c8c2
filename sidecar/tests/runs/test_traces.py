import asyncio
import gc
import json

import dspy
from programs import asked, capital
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.models.choosing import Models
from dspy_sidecar.programs.programs import build
from dspy_sidecar.runs.running import Events, run
from dspy_sidecar.settings import Settings


def holders(word: str) -> list[str]:
    """What holds a text with this word in it."""
    gc.collect()
    found = []
    for thing in gc.get_objects():
        if isinstance(thing, dict | list | tuple | set):
            values = thing.values() if isinstance(thing, dict) else thing
            found += [
                str(type(thing))
                for value in list(values)
                if isinstance(value, str) and word in value
            ]
    return found


async def test_no_value_of_a_caller_stays_in_memory_after_a_run(model, monkeypatch):
    """Runs in this process, so that the test can search its objects."""
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    # Tests of stock DSPy leave their history.
    dspy.clients.base_lm.GLOBAL_HISTORY.clear()
    models = Models(Settings("openai/scripted", ("openai/scripted",), model.url), None)
    program = build(capital("ChainOfThought"))
    word = "-".join(["very", "own", "word"])
    model.script({"reasoning": word, "answer": word})
    for chunks in (False, True):
        for number in range(20):
            request: pb.Run = asked(pb.Program(), question=f"{word} {number}")
            request.chunks = chunks
            events = Events(lambda event: None)
            events.acknowledge(1_000_000)
            done = await run(program, models, request, events)
            assert json.loads(done.outputs) == {"answer": word}
    del request, events, done
    model.requests.clear()
    model.script("nothing")
    await asyncio.sleep(0)
    assert dspy.clients.base_lm.GLOBAL_HISTORY == []
    # The name in this very test is one tuple of constants at most.
    assert len(holders(word)) <= 1, holders(word)
    await models.close()
