"""A session in this process: batches, flow control, cancellation and drain."""

import asyncio
import json

import grpc
import pytest_asyncio
from programs import QUESTION, asked, capital
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.models.choosing import Models
from dspy_sidecar.programs.programs import Programs
from dspy_sidecar.serving import session as sessions
from dspy_sidecar.serving.session import Session
from dspy_sidecar.settings import Settings


class Gateway:
    """Writes commands and reads events."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._commands: asyncio.Queue[pb.RunProgramsRequest] = asyncio.Queue()
        self._responses = session.serve(self._requests())
        self.events: list[pb.RunEvent] = []
        self.reading = asyncio.create_task(self._read())

    def command(self, number: int, **command) -> None:
        self._commands.put_nowait(
            pb.RunProgramsRequest(commands=[pb.RunCommand(run=number, **command)])
        )

    async def _requests(self):
        while True:
            yield await self._commands.get()

    async def _read(self) -> None:
        async for response in self._responses:
            self.events.extend(response.events)

    async def ends(self, *numbers: int) -> list[pb.RunEvent]:
        """The last events of runs; waits for them."""
        while True:
            ended = {
                event.run: event
                for event in self.events
                if event.HasField("done") or event.HasField("failure")
            }
            if ended.keys() >= set(numbers):
                return [ended[number] for number in numbers]
            await asyncio.sleep(0.01)


@pytest_asyncio.fixture
async def gateway(model, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    models = Models(Settings("openai/scripted", ("openai/scripted",), model.url), None)
    gateway = Gateway(Session(Programs(), models))
    yield gateway
    gateway.reading.cancel()
    await asyncio.gather(gateway.reading, return_exceptions=True)
    await models.close()


async def test_outputs_larger_than_a_message_fail_only_their_run(gateway, model, monkeypatch):
    monkeypatch.setattr(sessions, "MAX_EVENT_BYTES", 3_000)
    model.script(
        lambda request: {"answer": "x" * 4_000 if "large" in str(request["messages"]) else "Paris"}
    )
    made = capital()
    gateway.command(1, start=asked(made, question="large?"))
    gateway.command(2, start=asked(made, question="small?"))
    large, small = await gateway.ends(1, 2)
    assert (large.failure.code, large.failure.reason) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED.value[0],
        "TOO_LARGE",
    )
    assert json.loads(small.done.outputs) == {"answer": "Paris"}


async def test_events_are_batched_up_to_a_size(gateway, model, monkeypatch):
    monkeypatch.setattr(sessions, "MAX_BATCH_BYTES", 1_000)
    model.script({"answer": "x" * 400})
    for number in range(1, 11):
        gateway.command(number, start=asked(capital(), **QUESTION))
    for event in await gateway.ends(*range(1, 11)):
        assert len(json.loads(event.done.outputs)["answer"]) == 400


async def test_a_draining_session_refuses_further_runs_and_ends_after_its_in_flight_runs(
    gateway, model
):
    answer = model.hold = asyncio.Event()
    model.script({"answer": "Paris"})
    before = len(model.requests)
    gateway.command(1, start=asked(capital(), **QUESTION))
    while len(model.requests) == before:
        await asyncio.sleep(0.01)
    gateway.session.end()
    gateway.command(2, start=asked(capital(), **QUESTION))
    (refused,) = await gateway.ends(2)
    assert refused.failure.reason == "SIDECAR_UNAVAILABLE"
    assert not gateway.session.has_ended.is_set()
    answer.set()
    model.hold = None
    (end,) = await gateway.ends(1)
    assert end.HasField("done")
    await gateway.reading
    assert gateway.session.has_ended.is_set()
    assert len(model.requests) == before + 1


async def test_the_models_answer_is_read_no_faster_than_its_chunks_are_taken(gateway, model):
    model.piece = 1
    model.script({"answer": "a long answer " * 100})
    request = asked(capital(), **QUESTION)
    request.chunks = True
    gateway.command(1, start=request)

    def chunks() -> int:
        return sum(event.HasField("chunk") for event in gateway.events)

    while chunks() < 16:
        await asyncio.sleep(0.01)
    # No condition to wait for: no further chunk may come.
    await asyncio.sleep(0.3)
    assert chunks() == 16
    gateway.command(1, taken=3)
    while chunks() < 19:
        await asyncio.sleep(0.01)
    gateway.command(1, taken=1_000_000)
    (end,) = await gateway.ends(1)
    text = "".join(event.chunk.text for event in gateway.events if event.HasField("chunk"))
    assert json.loads(end.done.outputs) == {"answer": text}


async def test_a_cancelled_run_sends_what_it_has_spent_and_its_end_alone(gateway, model):
    model.script(None)
    given_up = model.given_up
    before = len(model.requests)
    gateway.command(1, start=asked(capital(), **QUESTION))
    while len(model.requests) == before:
        await asyncio.sleep(0.01)
    gateway.command(1, cancel=pb.Cancel())
    # Unknown runs are ignored.
    gateway.command(7, cancel=pb.Cancel())
    gateway.command(7, taken=1)
    while model.given_up == given_up:
        await asyncio.sleep(0.01)
    model.script({"answer": "Paris"})
    gateway.command(2, start=asked(capital(), **QUESTION))
    await gateway.ends(2)
    trace, end = (event for event in gateway.events if event.run == 1)
    # The request under way counts, although its tokens are unknown.
    assert trace.trace.token_usage.lm_calls == 1
    assert end.failure.reason == "CANCELLED"
    assert {event.run for event in gateway.events} == {1, 2}


async def test_the_runs_of_a_gateway_that_has_left_end_without_a_fault(gateway, model, monkeypatch):
    faults: list[BaseException] = []
    monkeypatch.setattr(sessions, "failure_of", lambda error: faults.append(error))
    model.script(None)
    given_up = model.given_up
    before = len(model.requests)
    gateway.command(1, start=asked(capital(), **QUESTION))
    while len(model.requests) == before:
        await asyncio.sleep(0.01)
    gateway.reading.cancel()
    while model.given_up == given_up:
        await asyncio.sleep(0.01)
    assert not faults
