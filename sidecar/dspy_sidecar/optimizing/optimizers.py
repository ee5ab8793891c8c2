"""DSPy's optimizers by their names, with what a caller said and what is ours to say."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dspy

Config = dict[str, Any]

# Those that learn from what a metric says, not from its score alone.
READERS = ("GEPA", "SIMBA")


@dataclass(frozen=True)
class Tools:
    """What every optimizer gets from us."""

    score: Callable[..., float]
    """A metric that gives a number."""
    review: Callable[..., dspy.Prediction]
    """A metric that gives a score and words."""
    models: Config
    """By the names of arguments."""
    seed: int
    log_dir: str | None
    """Where GEPA keeps what it has, so that it can go on."""
    stop: Callable[[Any], bool]
    """Whether GEPA is to stop."""


@dataclass(frozen=True)
class Optimizer:
    """One that is ready to run."""

    teleprompter: dspy.teleprompt.Teleprompter
    arguments: Config
    """Of its compile()."""

    def compile(self, student: dspy.Module, trainset: list[dspy.Example]) -> dspy.Module:
        """The optimized program."""
        if isinstance(self.teleprompter, dspy.BetterTogether):
            # It asks that every predictor has a model.
            student.set_lm(dspy.settings.lm)
        return self.teleprompter.compile(student, trainset=trainset, **self.arguments)


def make(name: str, config: Config, tools: Tools) -> Optimizer:
    """The optimizer of a checked configuration; what it takes of its arguments when it is made goes there, the rest to compile()."""
    kind = getattr(dspy, name)
    if name == "BetterTogether":
        return together(config, tools)
    bases = [kind, dspy.BootstrapFewShot] if name == "InferRules" else [kind]
    takes = {
        parameter for base in bases for parameter in inspect.signature(base.__init__).parameters
    }
    ours: Config = {**tools.models, "seed": tools.seed, "log_dir": tools.log_dir}
    ours["metric"] = tools.review if name in READERS else tools.score
    if name == "GEPA":
        ours["gepa_kwargs"] = {"stop_callbacks": [tools.stop]}
    else:
        # MIPROv2 would only write its candidates there.
        del ours["log_dir"]
    given = {**ours, **completed(name, config)}
    at_compile = inspect.signature(kind.compile).parameters
    return Optimizer(
        kind(**{key: value for key, value in given.items() if key in takes}),
        {key: value for key, value in given.items() if key not in takes and key in at_compile},
    )


def completed(name: str, config: Config) -> Config:
    """A configuration with how much is tried, where only one way to say it may be left."""
    if name == "MIPROv2" and "auto" not in config and config.get("num_candidates") is not None:
        return {**config, "auto": None}
    if name == "GEPA" and not config.keys() & {"auto", "max_full_evals", "max_metric_calls"}:
        return {**config, "auto": "light"}
    return config


def together(config: Config, tools: Tools) -> Optimizer:
    """Several, one after another."""
    # A part may come up again, and is not to find what it had left the first time.
    without = Tools(**{**vars(tools), "log_dir": None})
    parts = {
        key: make(part["name"], part.get("config", {}), without)
        for key, part in config["optimizers"].items()
    }
    arguments = {key: value for key, value in config.items() if key != "optimizers"}
    arguments["seed"] = tools.seed
    arguments["optimizer_compile_args"] = {key: part.arguments for key, part in parts.items()}
    made = {key: part.teleprompter for key, part in parts.items()}
    return Optimizer(dspy.BetterTogether(metric=tools.score, **made), arguments)
