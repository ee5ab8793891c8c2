"""A program's state, as an optimizer left it: the JSON of DSPy's save() and load()."""

import re
from typing import Any

import dspy
import orjson
from dspy.utils.saving import get_dependency_versions

from dspy_sidecar.faults import BuildFailedError
from dspy_sidecar.programs.wrapping import Comparison

State = dict[str, Any]

# The members of a predictor's state. DSPy makes an attribute of any further member, and so an
# argument of the model's client.
KNOWN = {"traces", "train", "demos", "signature", "lm", "fields"}

NESTED = re.compile(r"\w+(\.\w+|\[\d+\]|\['[^']+'\])+")
"""A path to a module that is no name alone."""


def dump(module: dspy.Module) -> str:
    """A module's state as DSPy's save() writes it, without the models of the optimizer's runs."""
    whole = module.dump_state()
    is_one = isinstance(module, dspy.Predict)
    state = (
        without_run(whole) if is_one else {path: without_run(part) for path, part in whole.items()}
    )
    state["metadata"] = {"dependency_versions": get_dependency_versions()}
    return orjson.dumps(
        state, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
    ).decode()


def load(module: dspy.Module, text: str, name: str) -> None:
    """Loads a state into a module.

    The models in the state are ignored: they could be any model, at any address.

    Args:
        module: A module of the structure that the state was saved of.
        text: The state as JSON.
        name: The module's name if it is its program's only one, else "". The state may have been
            saved of a program with the module as its attribute of that name.

    Raises:
        BuildFailedError: The state is not that module's. The message names the predictor.

    """
    for _, predictor, state in matched(module, text, name):
        predictor.load_state(state)


def matched(module: dspy.Module, text: str, name: str) -> list[tuple[str, dspy.Predict, State]]:
    """Each predictor of a module with its path and its part of a state, as of `load`."""
    states = by_predictor(module, read(text), name)
    return [
        (path, predictor, checked(states[path], predictor, path))
        for path, predictor in module.named_parameters()
        if path in states
    ]


def read(text: str) -> State:
    """Parses a state and drops its metadata, which are versions of packages."""
    try:
        state = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BuildFailedError(f"the state must be JSON: {error}") from error
    if not isinstance(state, dict):
        raise BuildFailedError("the state must be a JSON object")
    state.pop("metadata", None)
    return state


def by_predictor(module: dspy.Module, state: State, name: str) -> State:
    """The state of each predictor by its path in the module; `name` is as in `load`."""
    if lone_comparison := compared(module, state):
        return lone_comparison
    paths = {path for path, _ in module.named_parameters()}
    state = renamed(state, [path for path, _ in module.named_parameters()], name)
    if isinstance(module, dspy.Predict):
        (path,) = paths
        # The state of a bare predictor has no path. Saved as an attribute, it has that one's name.
        if "signature" in state and "instructions" in (state["signature"] or ()):
            return {path: state}
        state = {path if key == name else key: part for key, part in state.items()}
        return complete(state, {path}, shown_name=name)
    prefix = f"{name}."
    if name and state.keys() != paths and all(key.startswith(prefix) for key in state):
        state = {key.removeprefix(prefix): part for key, part in state.items()}
    return complete(state, paths)


def compared(module: dspy.Module, state: State) -> State | None:
    """The state of a MultiChainComparison alone, which a notebook gives chains of its own."""
    if not isinstance(module, Comparison) or len(state) != 1:
        return None
    ((path, part),) = state.items()
    return {"compare.predict": part} if path.split(".")[-1] == "predict" else None


def renamed(state: State, paths: list[str], name: str) -> State:
    """The state by the program's own paths, if a notebook held its modules in others or in lists.

    A program has neither: `inner.cot.predict` and `hops[0].predict` are matched by their order and
    by the names of the predictors in their modules.
    """
    keys = list(state)
    # The path of a lone module begins inside it; a lone Predict is `self`.
    within = ["" if path == "self" else path if name else path.partition(".")[2] for path in paths]
    if len(keys) != len(paths) or set(keys) == set(paths):
        return state
    owners = [
        key.removesuffix(f".{inner}") if inner else key
        for key, inner in zip(keys, within, strict=True)
    ]
    if not all(NESTED.fullmatch(owner) for owner in owners) or any(
        inner and owner == key for owner, key, inner in zip(owners, keys, within, strict=True)
    ):
        return state
    return {
        (name if path == "self" else path): state[key]
        for path, key in zip(paths, keys, strict=True)
    }


def complete(state: State, paths: set[str], shown_name: str = "") -> State:
    """The same state, if it has a part for each path and no other.

    Args:
        state: The parts by their paths.
        paths: The paths of the module's predictors.
        shown_name: Replaces the path of a single predictor in messages, if not empty.

    """
    known = ", ".join(sorted({shown_name} if shown_name else paths))
    if missing := sorted(paths - state.keys()):
        raise BuildFailedError(
            f"the state lacks the predictor {shown_name or missing[0]}; the program has {known}"
        )
    if unknown := sorted(state.keys() - paths):
        raise BuildFailedError(
            f"unknown predictor {unknown[0][:100]} in the state; expected one of {known}"
        )
    return state


def checked(state: Any, predictor: dspy.Predict, path: str) -> State:
    """The part of a state that is loaded into one predictor, after a check of its structure."""

    def refusal(problem: str) -> BuildFailedError:
        return BuildFailedError(f"the state of the predictor {path} {problem}")

    if not isinstance(state, dict):
        raise refusal("must be a JSON object")
    if unknown := sorted(state.keys() - KNOWN):
        raise refusal(f"has {unknown[0][:100]!r}, which this version of DSPy does not save")
    signature, demos = state.get("signature"), state.get("demos", [])
    if not isinstance(signature, dict) or not isinstance(signature.get("instructions"), str):
        raise refusal("must have a signature with instructions")
    fields = signature.get("fields")
    names = list(predictor.signature.fields)
    if not isinstance(fields, list) or len(fields) != len(names):
        count = len(fields) if isinstance(fields, list) else 0
        raise refusal(f"has {count} fields; expected the {len(names)} fields {', '.join(names)}")
    for name, field in zip(names, fields, strict=True):
        if not (
            isinstance(field, dict)
            and all(isinstance(field.get(key), str) for key in ("prefix", "description"))
        ):
            raise refusal(f"must have a prefix and a description for the field {name}")
    if not isinstance(demos, list) or not all(isinstance(demo, dict) for demo in demos):
        raise refusal("must have a list of JSON objects as demos")
    kept = {"fields": state["fields"]} if state.get("fields") else {}
    return {"signature": signature, "demos": demos, "traces": [], "train": [], "lm": None, **kept}


def without_run(state: State) -> State:
    """A predictor's state without the model and traces of the run that made it."""
    return {**state, "lm": None, "traces": [], "train": []}
