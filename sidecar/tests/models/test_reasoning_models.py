"""Reasoning models take no temperature but 1: defaults of modules and optimizers adapt."""

import json
import subprocess
from pathlib import Path

import pytest
from dspy.clients.lm import _is_openai_reasoning_model
from optimizations import optimized, request
from outcomes import done
from programs import FITS, QUESTION, asked, capital, wrapped
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb
from teachable_model import teachable

ROOT = Path(__file__).parents[3]
MINI = pb.LmSettings(model="openai/gpt-5-mini")
NAMES = """openai/gpt-5-mini gpt-5 azure/GPT-5.1 openai/gpt-5.2-codex openai/gpt-5-chat-latest
    openai/gpt-5.1-chat openai/gpt-4o openai/o1 openai/o3-mini openai/o4-mini-2025-04-16 openai/o2
    openai/o1-preview openrouter/openai/o3 openai/gpt-50 openai/o1-mini-x anthropic/o3""".split()


def answers(request):
    """The provider's refusal of another temperature, or an answer."""
    if request.get("temperature") not in (None, 1):
        return 400, {"message": "Unsupported value: 'temperature'", "param": "temperature"}, {}
    return {"reasoning": "known", "rationale": "known", "answer": "Paris"}


@pytest.mark.parametrize("chunks", [False, True])
@pytest.mark.parametrize("kind", ["MultiChainComparison", "BestOfN", "Refine"])
async def test_a_modules_own_temperature_adapts(sidecar, model, kind, chunks):
    model.script(answers)
    params = {"M": 2, "temperature": 0.7} if kind == "MultiChainComparison" else FITS
    inner = "ChainOfThought" if kind == "MultiChainComparison" else "Predict"
    made = wrapped(kind, inner, params)
    made.lm.CopyFrom(MINI)
    run = asked(made, **QUESTION)
    run.chunks = chunks
    assert json.loads((await done(sidecar.run(run))).outputs)["answer"] == "Paris"


async def test_the_temperature_of_an_optimizers_proposals_adapts(sidecar, model):
    before = len(model.requests)
    model.script(lambda sent: said if isinstance(said := answers(sent), tuple) else teachable(sent))
    to_optimize = request("COPRO", capital(lm=MINI), breadth=2, depth=1, init_temperature=1.4)
    _, progress = await optimized(sidecar, to_optimize)
    assert progress[-1].token_usage.lm_calls > 0
    temperatures = {sent.get("temperature") for sent in model.requests[before:]}
    assert temperatures == {None, 1.0}


def test_the_gateways_rule_for_reasoning_models_is_dspys():
    script = f"""import("./src/domain/program/reasoning-models.ts")
        .then((rule) => console.log(JSON.stringify({NAMES}.map(rule.isReasoningModel))))"""
    node = ROOT / "node_modules" / ".bin" / "node"
    seen = subprocess.run(
        [node, "-e", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(seen.stdout) == [_is_openai_reasoning_model(name) for name in NAMES]
