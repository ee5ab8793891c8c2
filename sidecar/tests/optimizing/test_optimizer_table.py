import importlib
import inspect
import json
import subprocess
from pathlib import Path

import dspy
import pytest
from dspy.teleprompt.teleprompt import Teleprompter

ROOT = Path(__file__).parents[3]
# Where the table says something that DSPy does not, and why.
OURS = {
    ("GEPA", "auto"): "DSPy takes none of three ways to say how much is tried for an error",
    ("BetterTogether", "optimizers"): "DSPy takes them as further keyword arguments",
    ("BetterTogether", "strategy"): "DSPy's own ends in one that trains the model",
}


def table() -> dict[str, dict]:
    """The gateway's table."""
    script = (
        'import("./src/domain/catalogue/optimizers.ts")'
        ".then((t) => console.log(JSON.stringify(t.optimizers)))"
    )
    node = ROOT / "node_modules" / ".bin" / "node"
    done = subprocess.run(
        [node, "-e", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {entry["name"]: entry for entry in json.loads(done.stdout)}


TABLE = table()
OFFERED = {name: entry for name, entry in TABLE.items() if entry["refused"] == ""}


def optimizer(name: str) -> type[Teleprompter]:
    return getattr(dspy, name)


def dspys(name: str) -> dict[str, object]:
    """DSPy's own arguments of an optimizer with their defaults, those of compile() first."""
    kind = optimizer(name)
    bases = [
        kind.__init__,
        kind.compile,
        *([dspy.BootstrapFewShot.__init__] if name == "InferRules" else []),
    ]
    parameters = [
        parameter
        for function in bases
        for parameter in inspect.signature(function).parameters.values()
    ]
    return {parameter.name: parameter.default for parameter in reversed(parameters)}


def test_the_table_has_every_optimizer_of_dspys():
    for module in ("dspy.teleprompt.grpo", "dspy.teleprompt.reanchor"):
        importlib.import_module(module)

    def below(kind: type) -> set[str]:
        kinds = [one for one in kind.__subclasses__() if one.__module__.startswith("dspy.")]
        return {one.__name__ for one in kinds}.union(*(below(one) for one in kinds))

    # A base class, and the earlier name of COPRO.
    assert below(Teleprompter) - {"FinetuneTeleprompter", "SignatureOptimizer"} == set(TABLE)


@pytest.mark.parametrize("name", OFFERED)
def test_the_parameters_and_defaults_are_dspys_own(name):
    known = dspys(name)
    for parameter in OFFERED[name]["parameters"]:
        if (name, parameter["name"]) not in OURS:
            assert known[parameter["name"]] == parameter.get("defaultValue"), parameter["name"]


@pytest.mark.parametrize("name", OFFERED)
def test_no_parameter_reaches_files_threads_models_or_code(name):
    names = {parameter["name"] for parameter in OFFERED[name]["parameters"]}
    unsafe = {
        "num_threads",
        "max_errors",
        "metric",
        "log_dir",
        "teacher_settings",
        "prompt_model",
        "task_model",
    }
    unsafe |= {
        "reflection_lm",
        "instruction_proposer",
        "code_proposer",
        "gepa_kwargs",
        "eval_kwargs",
        "valset",
    }
    unsafe |= {
        "use_wandb",
        "wandb_api_key",
        "wandb_init_kwargs",
        "use_mlflow",
        "seed",
        "teacher",
        "verbose",
    }
    assert names & unsafe == set()
