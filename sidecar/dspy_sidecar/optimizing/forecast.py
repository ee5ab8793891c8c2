"""How much an optimizer is going to do, about, so that its progress can be told."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dspy

from dspy_sidecar.optimizing.optimizers import Config, completed

Value = Callable[[str], Any]


@dataclass(frozen=True)
class Expectation:
    """What is known beforehand."""

    looks: int | None = None
    """How many answers the metrics will look at."""
    candidates: int | None = None
    """How many times a program will be scored."""


def expected(name: str, config: Config, trainset: int, predictors: int) -> Expectation:
    """What is known of an optimizer with a configuration, over a trainset and a program of that size."""
    value: Value = {**defaults(name), **config}.__getitem__
    match name:
        case "BootstrapFewShot":
            return Expectation(trainset * value("max_rounds"))
        case "BootstrapFewShotWithRandomSearch":
            return of_candidates(value("num_candidate_programs") + 3, trainset)
        case "COPRO":
            # With several predictors each round tries again what all the rounds before it proposed.
            rounds = [
                value("breadth") * (depth if predictors > 1 else 1)
                for depth in range(1, value("depth") + 1)
            ]
            return of_candidates(sum(rounds) * predictors, trainset)
        case "InferRules":
            return of_candidates(value("num_candidates"), trainset - trainset // 2)
        case "SIMBA":
            step = value("bsize") * (2 * value("num_candidates") + 1)
            return Expectation(value("max_steps") * step + (value("num_candidates") + 1) * trainset)
        case "MIPROv2":
            return of_mipro(value, completed(name, config), trainset, predictors)
        case "GEPA":
            return Expectation(of_gepa(completed(name, config), trainset, predictors))
    return Expectation()


def of_candidates(count: int, examples: int) -> Expectation:
    """So many programs, each scored on so many examples."""
    return Expectation(count * examples, count)


def of_mipro(value: Value, config: Config, trainset: int, predictors: int) -> Expectation:
    """As MIPROv2 itself reckons."""
    mipro = dspy.teleprompt.mipro_optimizer_v2
    held = min(1_000, max(1, int(trainset * 0.8)))
    if (auto := config.get("auto", "light")) is None:
        trials, is_minibatch = config["num_trials"], value("minibatch")
    else:
        held = min(held, mipro.AUTO_RUN_SETTINGS[auto]["val_size"])
        is_minibatch = held > mipro.MIN_MINIBATCH_SIZE
        is_zero_shot = value("max_bootstrapped_demos") == value("max_labeled_demos") == 0
        count = mipro.AUTO_RUN_SETTINGS[auto]["n"]
        trials = int(
            max(2 * predictors * (1 if is_zero_shot else 2) * math.log2(count), 1.5 * count)
        )
    if not is_minibatch:
        return of_candidates(1 + trials, held)
    full = 2 + trials // value("minibatch_full_eval_steps")
    return Expectation(trials * value("minibatch_size") + full * held, trials + full)


def of_gepa(config: Config, trainset: int, predictors: int) -> int:
    """As GEPA itself reckons."""
    if "max_metric_calls" in config:
        return int(config["max_metric_calls"])
    if "max_full_evals" in config:
        return int(config["max_full_evals"]) * trainset
    candidates = dspy.teleprompt.gepa.gepa.AUTO_RUN_SETTINGS[config["auto"]]["n"]
    return int(dspy.GEPA.auto_budget(None, predictors, candidates, trainset))


def defaults(name: str) -> Config:
    """DSPy's own."""
    kind = getattr(dspy, name)
    functions = [
        kind.compile,
        kind.__init__,
        *([dspy.BootstrapFewShot.__init__] if name == "InferRules" else []),
    ]
    parameters = [
        one for function in functions for one in inspect.signature(function).parameters.values()
    ]
    return {
        one.name: one.default for one in parameters if one.default is not inspect.Parameter.empty
    }
