"""What an optimizer changed in a program: the JSON that DSPy's save() writes and load() reads."""

from typing import Any

import dspy
import orjson
from dspy.utils.saving import get_dependency_versions

from dspy_sidecar.faults import BuildFailedError

State = dict[str, Any]

# Of a predictor's state; DSPy would make an attribute of anything else, and so an argument of the model's client.
KNOWN = {"traces", "train", "demos", "signature", "lm", "fields"}


def dump(module: dspy.Module) -> str:
    """As DSPy's save() writes it, but without the models that were used on the way."""
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
    """Puts a state into a module; BuildFailedError with the predictor and the fault where it is not that module's.

    Its models are never honoured: they could be any, at any address.

    Args:
        module: What the state was saved of.
        text: The JSON.
        name: Of the module in its program, where that has no other: it may have been saved as the one attribute of that
            name. Else "".

    """
    states = by_predictor(module, read(text), name)
    loaded = [
        (predictor, checked(states[path], predictor, path))
        for path, predictor in module.named_parameters()
    ]
    for predictor, state in loaded:
        predictor.load_state(state)


def read(text: str) -> State:
    """The JSON of a state, less what it says of versions."""
    try:
        state = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BuildFailedError(f"the state is no JSON: {error}") from error
    if not isinstance(state, dict):
        raise BuildFailedError("the state is no JSON object")
    state.pop("metadata", None)
    return state


def by_predictor(module: dspy.Module, state: State, name: str) -> State:
    """The state of each predictor by its path in the module; refuses one that is missing or unknown."""
    paths = {path for path, _ in module.named_parameters()}
    if isinstance(module, dspy.Predict):
        # Alone it has a state without a path of its own, else that of the attribute which it was.
        (path,) = paths
        if "signature" in state and "instructions" in (state["signature"] or ()):
            return {path: state}
        state = {path if key == name else key: part for key, part in state.items()}
        return complete(state, {path}, told=name)
    prefix = f"{name}."
    if name and state.keys() != paths and all(key.startswith(prefix) for key in state):
        state = {key.removeprefix(prefix): part for key, part in state.items()}
    return complete(state, paths)


def complete(state: State, paths: set[str], told: str = "") -> State:
    """The state as it is, where it has a part for each path and no other."""
    there = f"the program has {', '.join(sorted({told} if told else paths))}"
    if missing := sorted(paths - state.keys()):
        raise BuildFailedError(
            f"the state has nothing for the predictor {told or missing[0]}; {there}"
        )
    if unknown := sorted(state.keys() - paths):
        raise BuildFailedError(f"the state has an unknown predictor {unknown[0][:100]}; {there}")
    return state


def checked(state: Any, predictor: dspy.Predict, path: str) -> State:
    """The part of a state that is loaded into one predictor."""

    def refuse(why: str) -> BuildFailedError:
        return BuildFailedError(f"the state of the predictor {path} {why}")

    if not isinstance(state, dict):
        raise refuse("is no JSON object")
    if unknown := sorted(state.keys() - KNOWN):
        raise refuse(f"has {unknown[0][:100]!r}, which this version of DSPy does not save")
    signature, demos = state.get("signature"), state.get("demos", [])
    if not isinstance(signature, dict) or not isinstance(signature.get("instructions"), str):
        raise refuse("has no signature with instructions")
    fields = signature.get("fields")
    names = list(predictor.signature.fields)
    if not isinstance(fields, list) or len(fields) != len(names):
        count = len(fields) if isinstance(fields, list) else 0
        raise refuse(f"has {count} fields, and its signature has {len(names)}: {', '.join(names)}")
    for name, field in zip(names, fields, strict=True):
        if not (
            isinstance(field, dict)
            and all(isinstance(field.get(key), str) for key in ("prefix", "description"))
        ):
            raise refuse(f"has no prefix and description for the field {name}")
    if not isinstance(demos, list) or not all(isinstance(demo, dict) for demo in demos):
        raise refuse("has demos that are no JSON objects")
    kept = {"fields": state["fields"]} if state.get("fields") else {}
    return {"signature": signature, "demos": demos, "traces": [], "train": [], "lm": None, **kept}


def without_run(state: State) -> State:
    """A predictor's state without what belongs to the run that made it."""
    return {**state, "lm": None, "traces": [], "train": []}
