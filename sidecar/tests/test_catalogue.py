"""Holds the names in the gateway's catalogue to those that the sidecar knows."""

import inspect
import json
import re
import subprocess
from pathlib import Path

import dspy

from dspy_sidecar.programs import programs
from dspy_sidecar.scoring.metrics import KINDS

ROOT = Path(__file__).parents[2]


def names(table: str, which: str = 'refused === ""') -> set[str]:
    """The names of the entries that the gateway does not refuse, or of those that `which` finds."""
    script = f"""import("./src/domain/catalogue/{table}.ts")
        .then((t) => t.{table}.filter(({{ refused, deprecated }}) => {which}))
        .then((entries) => console.log(JSON.stringify(entries.map(({{ name }}) => name))))"""
    node = ROOT / "node_modules" / ".bin" / "node"
    done = subprocess.run(
        [node, "-e", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


def test_the_gateway_offers_exactly_the_metrics_that_the_sidecar_has():
    assert names("metrics") == set(KINDS)


def test_the_gateway_offers_exactly_the_modules_that_the_sidecar_builds():
    cases = re.findall(r"^ *case (\".*):$", inspect.getsource(programs.module_of), re.MULTILINE)
    assert names("modules") == set(re.findall(r'"(\w+)"', " ".join(cases)))


def test_the_gateway_calls_exactly_the_modules_deprecated_that_dspy_does():
    removed = {
        name for name in names("modules") if "deprecated::" in inspect.getdoc(getattr(dspy, name))
    }
    assert removed
    assert names("modules", 'deprecated !== ""') == removed
