"""The names of the variables in which providers' keys stand. Their values are never told."""

import os
import sys

import dspy
from dspy._vendor.lm15.registry import lookup
from dspy.clients.backend_selection import select_backend
from dspy.utils import exceptions as dspy_errors

from dspy_sidecar.faults import KeyMissingError, KeyRefusedError


def unset_keys(model: str) -> tuple[str, ...]:
    """The variables of which none is set, though the model's provider wants a key in one of them.

    Empty if one is set, if the provider wants no key, and if only litellm knows the provider: its
    import takes seconds.
    """
    selection = select_backend(dspy.LM(model))
    provider = selection.resolution.provider if selection.native else None
    definition = lookup(provider) if provider else None
    # A cloud's identity may come from other places than variables.
    if definition is None or definition.access.cloud_chain:
        return ()
    return unset(definition.access.env_keys)


def unset(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, or none of them if one is set."""
    return () if any(os.environ.get(name) for name in names) else names


def missing(model: str, names: tuple[str, ...]) -> str:
    """What is wrong if none of these variables is set."""
    return (
        f"{model} has no key: {' or '.join(names)} is not set for the sidecar; a server that wants "
        "no key takes any text"
    )


def named(error: dspy_errors.LMError) -> dspy_errors.LMError:
    """An error of a key that is missing or refused, with the names of the key's variables."""
    names = tuple(getattr(error, "env_keys", None) or ()) or litellm_names(error)
    if not names:
        return error
    if unset(names):
        made = KeyMissingError(missing(error.model or "the model", names), model=error.model)
    else:
        made = KeyRefusedError(
            f"the model's provider refuses the server's key, which is in {' or '.join(names)}",
            model=error.model,
        )
    made.status, made.provider = error.status, error.provider
    return made


def litellm_names(error: dspy_errors.LMError) -> tuple[str, ...]:
    """The variables that litellm misses for a model, if litellm has asked it."""
    litellm = sys.modules.get("litellm")
    if litellm is None or not error.model:
        return ()
    missing_keys = litellm.validate_environment(error.model)["missing_keys"]
    return tuple(missing_keys)
