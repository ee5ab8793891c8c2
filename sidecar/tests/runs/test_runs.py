import asyncio
import json

import grpc
import pytest
from outcomes import done, events, failure
from programs import QUESTION, STR, asked, capital, program, signature
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb


async def test_a_run_gives_outputs_steps_tokens_and_the_model(sidecar, model):
    model.script({"answer": "Paris"})
    end = await done(sidecar.run(asked(capital(), **QUESTION)))
    assert json.loads(end.outputs) == {"answer": "Paris"}
    assert end.trace.model == "openai/scripted"
    assert (
        end.trace.token_usage.input_tokens,
        end.trace.token_usage.output_tokens,
        end.trace.token_usage.lm_calls,
    ) == (30, 12, 1)
    assert [step.module for step in end.trace.steps] == ["only"]


async def test_chain_of_thought_has_its_reasoning_in_its_step_alone(sidecar, model):
    model.script({"reasoning": "known", "answer": "Paris"})
    end = await done(sidecar.run(asked(capital("ChainOfThought"), **QUESTION)))
    assert json.loads(end.outputs) == {"answer": "Paris"}
    assert json.loads(end.trace.steps[0].outputs) == {"reasoning": "known", "answer": "Paris"}


async def test_an_unknown_program_is_refused_by_id_and_known_after_it_was_loaded(sidecar, model):
    model.script({"answer": "Paris"})
    made = capital()
    by_id = pb.Run(program_id=made.id, inputs=json.dumps(QUESTION).encode())
    code, reason, *_ = await failure(sidecar.run(by_id))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PROGRAM_NOT_LOADED")
    assert (await sidecar.LoadProgram(pb.LoadProgramRequest(program=made))).type == "Predict"
    assert json.loads((await done(sidecar.run(by_id))).outputs) == {"answer": "Paris"}
    held = await sidecar.ListPrograms(pb.ListProgramsRequest())
    assert (made.id, "Predict", "Test") in [(p.id, p.type, p.signature) for p in held.programs]


async def test_refuses_a_program_that_dspy_can_not_build(sidecar):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await sidecar.LoadProgram(pb.LoadProgramRequest(program=capital("NoSuchModule")))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "NoSuchModule" in raised.value.details()


async def test_a_pipelines_modules_get_their_inputs_by_its_wires(sidecar, model):
    first = pb.Module(
        name="translate", type="Predict", signature=signature({"question": STR}, {"english": STR})
    )
    first.wires.add(input="question", field="question")
    second = pb.Module(
        name="reply", type="Predict", signature=signature({"text": STR}, {"answer": STR})
    )
    second.wires.add(input="text", module="translate", field="english")
    made = pb.Program(
        id="pipeline",
        signature=signature({"question": STR}, {"answer": STR}),
        modules=[first, second],
    )
    made.outputs.add(input="answer", module="reply", field="answer")
    model.script({"english": "Where is Paris?"}, {"answer": "In France."})
    seen = await events(sidecar.run(asked(made, question="Où est Paris ?")))
    assert json.loads(seen[-1].done.outputs) == {"answer": "In France."}
    assert "Where is Paris?" in str(model.requests[-1]["messages"])
    # The first module's usage is sent before the second module asks the model.
    assert seen[0].trace.token_usage.lm_calls == 1
    assert [step.module for step in seen[-1].done.trace.steps] == ["translate", "reply"]


async def test_types_descriptions_and_constraints_reach_the_prompt(sidecar, model):
    mood = pb.Type(literal=pb.LiteralType(values=["glad", "sad"]))
    tags = pb.Type(list=pb.ListType(element=STR))
    notes = pb.Type(
        optional=pb.OptionalType(
            of=pb.Type(dict=pb.DictType(key=pb.SCALAR_STR, value=pb.Type(scalar=pb.SCALAR_INT)))
        )
    )
    sig = signature(
        {"text": STR},
        {"mood": mood, "tags": tags, "notes": notes, "score": pb.Type(scalar=pb.SCALAR_FLOAT)},
    )
    sig.inputs[0].description = "a letter to the editor"
    sig.outputs[3].constraints.min = 0
    sig.outputs[3].constraints.max = 1
    sig.inputs[0].constraints.pattern = "[a-z]+"
    model.script({"mood": "glad", "tags": ["a"], "notes": {"x": 1}, "score": 0.5})
    end = await done(sidecar.run(asked(program(sig), text="hello")))
    assert json.loads(end.outputs) == {
        "mood": "glad",
        "tags": ["a"],
        "notes": {"x": 1},
        "score": 0.5,
    }
    prompt = str(model.requests[-1]["messages"])
    for words in [
        "a letter to the editor",
        "glad",
        "list[str]",
        "less than or equal to: 1",
        "[a-z]+",
    ]:
        assert words in prompt


ERRORS = {
    "rate limit": (
        (429, {"message": "slow"}, {"retry-after": "1"}),
        "LM_RATE_LIMITED",
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    ),
    "bad key": (
        (401, {"message": "key sk-secret"}, {}),
        "LM_AUTH_FAILED",
        grpc.StatusCode.FAILED_PRECONDITION,
    ),
    "too long": (
        (400, {"message": "maximum context length is 10", "code": "context_length_exceeded"}, {}),
        "CONTEXT_WINDOW_EXCEEDED",
        grpc.StatusCode.INVALID_ARGUMENT,
    ),
    "refused": (
        (400, {"message": "no", "code": "content_filter"}, {}),
        "LM_REFUSED",
        grpc.StatusCode.FAILED_PRECONDITION,
    ),
    "down": ((500, {"message": "boom"}, {}), "LM_UNAVAILABLE", grpc.StatusCode.UNAVAILABLE),
}


@pytest.mark.parametrize("name", ERRORS)
async def test_each_fault_of_the_provider_has_its_reason_and_code(sidecar, model, name):
    reply, reason, code = ERRORS[name]
    model.script(reply)
    got_code, got_reason, _, message, _ = await failure(sidecar.run(asked(capital(), **QUESTION)))
    assert (got_code, got_reason) == (code, reason)
    assert "sk-secret" not in message and "France" not in message


async def test_an_unreadable_answer_is_output_invalid_and_on_record(sidecar, model):
    model.script("I would rather not.")
    code, reason, _, message, traces = await failure(sidecar.run(asked(capital(), **QUESTION)))
    assert (code, reason) == (grpc.StatusCode.INTERNAL, "OUTPUT_INVALID")
    assert traces[-1].steps[0].raw_answer == "I would rather not."
    assert traces[-1].token_usage.lm_calls == 2
    assert "rather not" not in message


async def test_a_model_that_is_not_allowed_is_lm_not_configured(sidecar):
    made = capital(lm=pb.LmSettings(model="openai/forbidden"))
    _, reason, *_ = await failure(sidecar.run(asked(made, **QUESTION)))
    assert reason == "LM_NOT_CONFIGURED"


async def test_a_runs_settings_override_the_programs(sidecar, model):
    model.script({"answer": "Paris"})
    made = capital(lm=pb.LmSettings(temperature=0.1, max_tokens=50))
    await done(
        sidecar.run(
            asked(made, lm=pb.LmSettings(model="openai/other", temperature=0.7), **QUESTION)
        )
    )
    sent = model.requests[-1]
    assert (sent["model"], sent["temperature"]) == ("other", 0.7)
    assert 50 in (sent.get("max_tokens"), sent.get("max_completion_tokens"))


async def test_cancelling_a_run_cancels_the_request_to_the_model(sidecar, model):
    model.script(None)
    before = (len(model.requests), model.given_up)
    call = sidecar.run(asked(capital(), **QUESTION))
    while len(model.requests) == before[0]:
        await asyncio.sleep(0.01)
    call.cancel()
    while model.given_up == before[1]:
        await asyncio.sleep(0.01)


async def test_fifty_parallel_runs_do_not_mix(sidecar, model):
    model.script({"answer": "Paris"})
    before = len(model.requests)
    made = capital()
    await asyncio.gather(
        *(done(sidecar.run(asked(made, question=f"question {n}."))) for n in range(50))
    )
    prompts = [str(request["messages"]) for request in model.requests[before:]]
    for n in range(50):
        assert sum(f"question {n}." in prompt for prompt in prompts) == 1
