"""DSPy's optimizers, made of a caller's configuration and the sidecar's own arguments."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dspy

Config = dict[str, Any]

# Optimizers that read a metric's feedback, not its score alone.
FEEDBACK_READERS = ("GEPA", "SIMBA")


@dataclass(frozen=True)
class OwnArguments:
    """The sidecar's own arguments of every optimizer."""

    score: Callable[..., float]
    """A metric that gives a score from 0 to 1."""
    review: Callable[..., dspy.Prediction]
    """A metric that gives a score and feedback."""
    models: Config
    """The models by the names of the optimizers' arguments."""
    seed: int
    log_dir: str | None
    """The folder from which GEPA resumes."""
    is_over: Callable[[Any], bool]
    """Whether GEPA must stop."""


@dataclass(frozen=True)
class Optimizer:
    """An optimizer that is ready to run."""

    teleprompter: dspy.teleprompt.Teleprompter
    arguments: Config
    """The arguments of its compile()."""

    def compile(self, student: dspy.Module, trainset: list[dspy.Example]) -> dspy.Module:
        """The optimized program."""
        if isinstance(self.teleprompter, dspy.BetterTogether):
            # BetterTogether demands that every predictor has a model.
            student.set_lm(dspy.settings.lm)
        return self.teleprompter.compile(student, trainset=trainset, **self.arguments)


def make(name: str, config: Config, own: OwnArguments) -> Optimizer:
    """The optimizer of a checked configuration.

    Arguments that its __init__ takes go there, all others to compile().
    """
    kind = getattr(dspy, name)
    if name == "BetterTogether":
        return better_together(config, own)
    bases = [kind, dspy.BootstrapFewShot] if name == "InferRules" else [kind]
    at_init = {
        parameter for base in bases for parameter in inspect.signature(base.__init__).parameters
    }
    arguments: Config = {**own.models, "seed": own.seed}
    arguments["metric"] = own.review if name in FEEDBACK_READERS else own.score
    if name == "GEPA":
        arguments["gepa_kwargs"] = {"stop_callbacks": [own.is_over]}
        # MIPROv2 has this argument too, and would only write its candidates there.
        arguments["log_dir"] = own.log_dir
    arguments = {**arguments, **completed(name, config)}
    at_compile = inspect.signature(kind.compile).parameters
    return Optimizer(
        kind(**{key: value for key, value in arguments.items() if key in at_init}),
        {
            key: value
            for key, value in arguments.items()
            if key not in at_init and key in at_compile
        },
    )


def completed(name: str, config: Config) -> Config:
    """A configuration with `auto`, for the optimizers that take either it or explicit numbers."""
    if name == "MIPROv2" and "auto" not in config and config.get("num_candidates") is not None:
        return {**config, "auto": None}
    if name == "GEPA" and not config.keys() & {"auto", "max_full_evals", "max_metric_calls"}:
        return {**config, "auto": "light"}
    return config


def better_together(config: Config, own: OwnArguments) -> Optimizer:
    """BetterTogether over the optimizers that its configuration names."""
    # A part that runs twice must not resume from the folder of its first run.
    own_of_parts = OwnArguments(**{**vars(own), "log_dir": None})
    parts = {
        key: make(part["name"], part.get("config", {}), own_of_parts)
        for key, part in config["optimizers"].items()
    }
    arguments = {key: value for key, value in config.items() if key != "optimizers"}
    arguments["seed"] = own.seed
    arguments["optimizer_compile_args"] = {key: part.arguments for key, part in parts.items()}
    teleprompters = {key: part.teleprompter for key, part in parts.items()}
    return Optimizer(dspy.BetterTogether(metric=own.score, **teleprompters), arguments)
