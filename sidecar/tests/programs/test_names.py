import os
import re
import subprocess
import sys
from pathlib import Path

import dspy
import pydantic

SOURCE = Path(__file__).parents[3] / "src" / "domain"


def names(file: str, constant: str) -> set[str]:
    """The names that a constant of the gateway's lists."""
    text = (SOURCE / file).read_text()
    body = text[text.index(constant) :].split(");", 1)[0].split("=", 1)[1]
    quoted = re.findall(r'"([a-z_]+)"', body)
    return set(quoted or re.findall(r"[a-z_]+", body.split("`")[1]))


def test_every_member_of_a_dspy_module_is_a_name_that_no_module_of_a_program_may_have():
    members = {name for name in dir(dspy.Module()) if not name.startswith("_")}
    assert members - names("program/pipeline.ts", "takenModuleNames") == set()


def test_every_member_of_a_pydantic_model_that_begins_with_model_is_a_name_that_no_field_may_have():
    members = {name for name in dir(pydantic.BaseModel) if name.startswith("model_")}
    assert members - names("signature/fields.ts", "takenNames") == set()


def test_every_name_that_a_signature_class_has_for_its_own_fields_is_taken():
    own = {
        name
        for name in dir(type(dspy.Signature))
        if name in ("fields", "input_fields", "output_fields", "instructions", "signature")
    }
    assert own <= names("signature/fields.ts", "takenNames")


def tried(*candidates: str) -> set[tuple[str, str]]:
    """The names that fail as inputs or outputs, tried in a process of their own."""
    tests = Path(__file__).parents[1]
    path = os.pathsep.join(map(str, (tests.parent, tests.parent / "gen", tests)))
    done = subprocess.run(
        [sys.executable, tests / "field_names.py", *candidates],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    *failed, last = done.stdout.splitlines()
    assert last == f"{len(candidates)} names tried"
    return {(side, name) for side, name, _ in (line.split("\t") for line in failed)}


def test_every_other_name_of_an_example_or_a_prediction_is_carried_by_modules_and_optimizers():
    members = {*dir(dspy.Example()), *dir(dspy.Prediction()), *vars(dspy.Example()), "score"}
    public = {name for name in members if re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name)}
    usable = public - names("signature/fields.ts", "takenNames")
    assert {"copy", "get", "inputs", "labels"} <= usable
    assert tried(*sorted(usable)) == set()


def test_a_name_that_begins_as_dspys_own_marks_is_lost():
    assert tried("dspy_x") == {("inputs", "dspy_x"), ("outputs", "dspy_x")}
