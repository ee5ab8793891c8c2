"""Which outputs make an answer unreadable: those whose types refuse what the model wrote."""

import sys
from typing import Any

import dspy
from dspy.utils.exceptions import AdapterParseError
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.models.choosing import ADAPTERS
from dspy_sidecar.values.violations import RefusedError


def refusals_of(error: AdapterParseError, outputs: dict[str, str]) -> list[pb.Refusal]:
    """The violations of the table of values in an answer, by the program's names of the outputs.

    DSPy stops at the first field, so each field is read by itself.

    Args:
        error: Has the answer, and the signature that it is an answer to.
        outputs: The names of the program's outputs, by those of the module's.

    """
    adapter = ADAPTERS.get(error.adapter_name)
    if adapter is None or error.lm_response is None:
        return []
    # Python links every further exception to the one that is being handled.
    handled = sys.exception()
    found: list[pb.Refusal] = []
    for name, output in outputs.items():
        fields = error.signature.output_fields
        if name not in fields:
            continue
        # The other fields take anything. Without them, DSPy would take any JSON for the only field.
        alone = dspy.make_signature(
            {
                one: (field.annotation if one == name else Any, dspy.OutputField())
                for one, field in fields.items()
            }
        )
        try:
            adapter.parse(alone, error.lm_response)
        except AdapterParseError as fault:
            refused = refusal_in(fault, handled)
            found += (
                [
                    pb.Refusal(path=one.path, description=one.description, reason=one.reason)
                    for one in (violation.at(output) for violation in refused.violations)
                ]
                if refused
                else []
            )
    return found


def refusals_told(error: AdapterParseError, outputs: dict[str, str]) -> list[pb.Refusal]:
    """The refusals of an answer; those of the answer before if it was a retry that has none."""
    return next(filter(None, (refusals_of(one, outputs) for one in with_first(error))), [])


def characters_of(error: AdapterParseError) -> int:
    """The characters that `refusals_told` reads."""
    return sum(len(one.lm_response or "") for one in with_first(error))


def with_first(error: AdapterParseError) -> list[AdapterParseError]:
    """The error of an answer, and that of the answer before if it was a retry."""
    first = getattr(error, "first", None)
    return [error, first] if first else [error]


def refusal_in(fault: BaseException | None, handled: BaseException | None) -> RefusedError | None:
    """The refusal of a value that an exception comes from, and not what was handled before."""
    while fault and fault is not handled:
        if isinstance(fault, RefusedError):
            return fault
        fault = fault.__cause__ or fault.__context__
    return None
