"""A trial of names as fields: of modules by every adapter, and through every optimizer."""

import asyncio
import json
import re
import time
from collections.abc import Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from programs import STR, program, signature
from scripted_model import ScriptedModel, chat
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.models.choosing import Models
from dspy_sidecar.optimizing.optimization import Optimization
from dspy_sidecar.programs.programs import build
from dspy_sidecar.runs.running import Events, run
from dspy_sidecar.settings import Settings

ADAPTERS = ["ChatAdapter", "JSONAdapter", "XMLAdapter"]
WRAPPERS = {
    "BestOfN": {"N": 2, "threshold": 1.0, "reward_fn": "fits"},
    "Refine": {"N": 2, "threshold": 1.0, "reward_fn": "fits"},
    "MultiChainComparison": {"M": 2, "temperature": 0.7},
}
OPTIMIZERS = {
    "LabeledFewShot": {"k": 2},
    "BootstrapFewShot": {"max_bootstrapped_demos": 1, "max_labeled_demos": 1},
    "BootstrapFewShotWithRandomSearch": {"num_candidate_programs": 1},
    "MIPROv2": {"num_candidates": 2, "num_trials": 2, "minibatch": False},
    "COPRO": {"breadth": 2, "depth": 1},
    "SIMBA": {"bsize": 2, "num_candidates": 2, "max_steps": 1},
    "GEPA": {"max_metric_calls": 8},
    "InferRules": {"num_candidates": 1, "num_rules": 1},
}
OUTPUT = re.compile(r"^\d+\. `(\w+)` \((\w+)", re.MULTILINE)


class NotCarriedError(Exception):
    """A value of a field is not what was given, or is lost."""


def value_of(name: str) -> str:
    return f"value of {name}"


def says(request: dict) -> str:
    """Answers every output that a prompt names, in the prompt's format."""
    system = str(request["messages"][0]["content"])
    part = system.split("Your output fields are:", 1)[1].split("All interactions", 1)[0]
    own = {"score": 1.0, "module_advice": {"only": "Be careful."}}
    said = {
        name: value_of(name) if kind == "str" else own.get(name, [])
        for name, kind in OUTPUT.findall(part)
    }
    asked_for = str(request["messages"][-1]["content"])[-1_000:]
    if "a JSON object" in asked_for:
        return json.dumps(said)
    if "in XML tags" in asked_for:
        return "\n".join(f"<{name}>{value}</{name}>" for name, value in said.items())
    return chat(said)


class Trial:
    """Tries names as the inputs or the outputs of one signature."""

    def __init__(self, model: ScriptedModel) -> None:
        self._model = model
        self._models = self._new_models()
        # DSPy's global settings belong to the first thread that changes them.
        self._optimizing = ThreadPoolExecutor(max_workers=1)

    def _new_models(self) -> Models:
        settings = Settings("openai/scripted", ("openai/scripted",), self._model.url)
        return Models(settings, None)

    async def failure(self, names: list[str], side: str) -> str | None:
        """What failed first; None if every name is carried."""
        inputs = names if side == "inputs" else ["the_only_input"]
        outputs = names if side == "outputs" else ["the_only_output"]
        for what, attempt in self._attempts(inputs, outputs):
            try:
                await attempt
            except Exception as error:
                cause = error
                while cause.__cause__:
                    cause = cause.__cause__
                return f"{what}: {type(cause).__name__}: {str(cause)[:100]}"
        return None

    def _attempts(
        self, inputs: list[str], outputs: list[str]
    ) -> Iterator[tuple[str, Coroutine[None, None, None]]]:
        sig = signature(dict.fromkeys(inputs, STR), dict.fromkeys(outputs, STR))
        for adapter in ADAPTERS:
            lm = pb.LmSettings(adapter=adapter)
            for kind in ("Predict", "ChainOfThought"):
                for way in ("run", "stream", "cache"):
                    lm.cache = way == "cache"
                    yield f"{kind}, {adapter}, {way}", self._run(program(sig, kind, lm=lm), way)
        for kind, params in WRAPPERS.items():
            made = program(sig, kind)
            module = made.modules[0]
            module.params = json.dumps(params).encode()
            inner = "ChainOfThought" if kind == "MultiChainComparison" else "Predict"
            module.modules.add(name="inner", type=inner, signature=sig, wires=module.wires)
            yield kind, self._run(made, "run")
        for name, config in OPTIMIZERS.items():
            yield name, self._optimize(program(sig), name, config)

    async def _run(self, made: pb.Program, way: str) -> None:
        inputs = {field.name: value_of(field.name) for field in made.signature.inputs}
        request = pb.Run(program=made, inputs=json.dumps(inputs).encode())
        request.chunks = way == "stream"
        chunks: dict[str, str] = {}

        def tell(event: pb.RunEvent) -> None:
            if event.HasField("chunk"):
                events.acknowledge(1)
                chunks[event.chunk.field] = chunks.get(event.chunk.field, "") + event.chunk.text

        events = Events(tell)
        before = len(self._model.requests)
        done = await run(build(made), self._models, request, events)
        expect = {field.name: value_of(field.name) for field in made.signature.outputs}
        if json.loads(done.outputs) != expect:
            raise NotCarriedError("the outputs differ")
        if way == "stream" and {name: chunks.get(name) for name in expect} != expect:
            raise NotCarriedError("the chunks differ")
        self._check_prompt(before, inputs.values())

    def _check_prompt(self, number: int, values: Iterable[str]) -> None:
        """Checks a request to the model; an answer from the cache has none."""
        for request in self._model.requests[number:][:1]:
            prompt = str(request["messages"][-1]["content"])
            if any(value not in prompt for value in values):
                raise NotCarriedError("an input is not in the prompt")

    async def _optimize(self, made: pb.Program, name: str, config: dict) -> None:
        examples = [
            pb.Example(
                inputs=json.dumps(
                    {f.name: f"{value_of(f.name)} {n}" for f in made.signature.inputs}
                ).encode(),
                outputs=json.dumps(
                    {f.name: value_of(f.name) for f in made.signature.outputs}
                ).encode(),
            )
            for n in range(6)
        ]
        request = pb.OptimizeProgramRequest(
            program=made,
            optimizer=name,
            config=json.dumps(config).encode(),
            metrics=[pb.Metric(name="exact_match", weight=1)],
            trainset=examples[:4],
            valset=examples[4:],
        )
        # An optimization has an event loop of its own, and so connections of its own.
        optimization = Optimization(request, self._new_models(), time.monotonic(), None)
        before = len(self._model.requests)
        result = await asyncio.get_running_loop().run_in_executor(
            self._optimizing, optimization.run
        )
        # The others find the first prompts in the cache.
        if name == next(iter(OPTIMIZERS)):
            self._check_prompt(before, [value_of(field.name) for field in made.signature.inputs])
        if result.baseline_score != 1.0 or result.score != 1.0:
            raise NotCarriedError(f"scores {result.baseline_score}, {result.score}")
        for part in json.loads(result.compiled_state).values():
            for demo in part.get("demos", []) if isinstance(part, dict) else []:
                lost = [
                    f.name
                    for f in (*made.signature.inputs, *made.signature.outputs)
                    if f.name not in demo
                ]
                if lost:
                    raise NotCarriedError(f"a demo lacks {lost[:3]}")
        if "failed" in result.message:
            raise NotCarriedError(result.message)
