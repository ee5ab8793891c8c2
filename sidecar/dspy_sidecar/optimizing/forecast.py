"""Forecasts of an optimizer's work, for the fraction that its progress shows."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dspy

from dspy_sidecar.optimizing.optimizers import Config, completed

Value = Callable[[str], Any]
"""The value of an argument: configured, or DSPy's default."""


@dataclass(frozen=True)
class Forecast:
    """An optimizer's work, as far as it is known beforehand."""

    scores: int | None = None
    """Answers that the metrics will score."""
    candidates: int | None = None
    """Programs that the optimizer will evaluate."""


def forecast(name: str, config: Config, trainset: int, predictors: int) -> Forecast:
    """The work of an optimizer.

    Args:
        name: The optimizer's class.
        config: Its arguments; others have DSPy's defaults.
        trainset: Number of examples.
        predictors: Number of predictors in the program.

    """
    value: Value = {**defaults(name), **config}.__getitem__
    match name:
        case "BootstrapFewShot":
            return Forecast(trainset * value("max_rounds"))
        case "BootstrapFewShotWithRandomSearch":
            return of_candidates(value("num_candidate_programs") + 3, trainset)
        case "COPRO":
            # With several predictors each round repeats the proposals of all rounds before it.
            rounds = [
                value("breadth") * (depth if predictors > 1 else 1)
                for depth in range(1, value("depth") + 1)
            ]
            return of_candidates(sum(rounds) * predictors, trainset)
        case "InferRules":
            return of_candidates(value("num_candidates"), trainset - trainset // 2)
        case "SIMBA":
            step = value("bsize") * (2 * value("num_candidates") + 1)
            return Forecast(value("max_steps") * step + (value("num_candidates") + 1) * trainset)
        case "MIPROv2":
            return of_mipro(value, completed(name, config), trainset, predictors)
        case "GEPA":
            return Forecast(of_gepa(completed(name, config), trainset, predictors))
    return Forecast()


def of_candidates(count: int, examples: int) -> Forecast:
    """The work of evaluating each of `count` programs on `examples` examples."""
    return Forecast(count * examples, count)


def of_mipro(value: Value, config: Config, trainset: int, predictors: int) -> Forecast:
    """The work of MIPROv2, by its own formula."""
    mipro = dspy.teleprompt.mipro_optimizer_v2
    held_out = min(1_000, max(1, int(trainset * 0.8)))
    if (auto := config.get("auto", "light")) is None:
        trials, is_minibatch = config["num_trials"], value("minibatch")
    else:
        held_out = min(held_out, mipro.AUTO_RUN_SETTINGS[auto]["val_size"])
        is_minibatch = held_out > mipro.MIN_MINIBATCH_SIZE
        is_zero_shot = value("max_bootstrapped_demos") == value("max_labeled_demos") == 0
        count = mipro.AUTO_RUN_SETTINGS[auto]["n"]
        trials = int(
            max(2 * predictors * (1 if is_zero_shot else 2) * math.log2(count), 1.5 * count)
        )
    if not is_minibatch:
        return of_candidates(1 + trials, held_out)
    full = 2 + trials // value("minibatch_full_eval_steps")
    return Forecast(trials * value("minibatch_size") + full * held_out, trials + full)


def of_gepa(config: Config, trainset: int, predictors: int) -> int:
    """The number of answers that GEPA scores, by its own formula."""
    if "max_metric_calls" in config:
        return int(config["max_metric_calls"])
    if "max_full_evals" in config:
        return int(config["max_full_evals"]) * trainset
    candidates = dspy.teleprompt.gepa.gepa.AUTO_RUN_SETTINGS[config["auto"]]["n"]
    return int(dspy.GEPA.auto_budget(None, predictors, candidates, trainset))


def defaults(name: str) -> Config:
    """DSPy's defaults of an optimizer's arguments, of its __init__ and compile."""
    kind = getattr(dspy, name)
    functions = [
        kind.compile,
        kind.__init__,
        *([dspy.BootstrapFewShot.__init__] if name == "InferRules" else []),
    ]
    parameters = [
        parameter
        for function in functions
        for parameter in inspect.signature(function).parameters.values()
    ]
    return {
        parameter.name: parameter.default
        for parameter in parameters
        if parameter.default is not inspect.Parameter.empty
    }
