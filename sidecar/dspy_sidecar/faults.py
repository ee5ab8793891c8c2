"""The sidecar's exceptions, and the one table of the faults that the gateway is told."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import grpc
from dspy.utils import exceptions as dspy_errors
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.log import logger


class ProgramNotLoadedError(Exception):
    """The worker holds no program of that id."""


class BuildFailedError(Exception):
    """DSPy can't build the program. The message tells why, without values of callers."""


class NotEnabledError(Exception):
    """The program needs a feature that the operator has not switched on or not installed."""


class ModelNotAllowedError(Exception):
    """The operator does not allow the model that a program or a request names."""


class NotWarmError(Exception):
    """The default model is not loaded yet."""


class DrainingError(Exception):
    """The worker is stopping and takes no further run."""


class KeyMissingError(dspy_errors.LMNotConfiguredError):  # type: ignore[misc]
    """The operator has not set the key that the provider wants. The message names its variable."""

    def __str__(self) -> str:
        return str(self.message)


class KeyRefusedError(dspy_errors.LMAuthError):  # type: ignore[misc]
    """The provider refuses the operator's key. The message names its variable."""

    def __str__(self) -> str:
        return str(self.message)


class AnswerTooLargeError(dspy_errors.LMError):  # type: ignore[misc]
    """The model, or a server between, sends more than the maximum of an answer. Not retried."""


class CodeFailedError(Exception):
    """The code that the model wrote failed in every attempt."""


class OutputUnreadableError(Exception):
    """The model's answer can't be parsed as the output fields.

    Args:
        refusals: The program's outputs whose types refuse the answer, without values of the model.

    """

    def __init__(self, refusals: Sequence[pb.Refusal] = ()) -> None:
        told = "; ".join(f"{one.path}: {one.description}" for one in refusals)
        super().__init__(
            "the model's answer can't be read as the signature's outputs"
            + (f": {told}" if told else "")
        )
        self.refusals = refusals


class OutputInvalidError(Exception):
    """The outputs do not fit the program's signature. The message has no values of the model."""


class OutputTruncatedError(Exception):
    """The model's answer was cut off before all outputs had ended.

    No AdapterParseError: a retry in JSON would be cut off as well.

    Args:
        finish_reason: Why: length or content_filter.

    """

    def __init__(self, finish_reason: str) -> None:
        super().__init__(
            "the provider's content filter cut the model's answer off"
            if finish_reason == "content_filter"
            else "the model's answer was cut off at its maximum length; raise max_tokens"
        )


class BudgetExceededError(Exception):
    """The budget of an optimization is too small for the steps that it can't do without."""


class InterruptedRunError(Exception):
    """The process of an optimization died before its result."""


@dataclass(frozen=True)
class Fault:
    """A fault as the gateway is told it."""

    code: grpc.StatusCode
    reason: str
    """An ErrorReason without its prefix."""
    message: str
    retry_after_s: float | None = None
    """Seconds until the next attempt makes sense; None if unknown."""


class FaultError(Exception):
    """A fault that another process found and logged."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


MAX_RETRY_AFTER_S = 86_400.0
"""Maximum of a provider's retry time that callers are told: one day."""

INVALID, PRECONDITION = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION
INTERNAL, UNAVAILABLE = grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED

# The first class that matches counts. If the message is None, the exception's own is used; only
# classes whose messages hold no values of callers have None.
TABLE: list[tuple[type[BaseException], grpc.StatusCode, str, str | None]] = [
    (ProgramNotLoadedError, PRECONDITION, "PROGRAM_NOT_LOADED", None),
    (BuildFailedError, INVALID, "BUILD_FAILED", None),
    (NotEnabledError, PRECONDITION, "NOT_ENABLED", None),
    (
        CodeFailedError,
        INTERNAL,
        "OUTPUT_INVALID",
        "the code that the model wrote can't be run to its end",
    ),
    (ModelNotAllowedError, PRECONDITION, "LM_NOT_CONFIGURED", None),
    (NotWarmError, UNAVAILABLE, "SIDECAR_UNAVAILABLE", "the default model is still loading"),
    (DrainingError, UNAVAILABLE, "SIDECAR_UNAVAILABLE", "this worker of the sidecar is stopping"),
    (OutputUnreadableError, INTERNAL, "OUTPUT_INVALID", None),
    (OutputInvalidError, INTERNAL, "OUTPUT_INVALID", None),
    (OutputTruncatedError, INTERNAL, "OUTPUT_TRUNCATED", None),
    (BudgetExceededError, EXHAUSTED, "BUDGET_EXCEEDED", None),
    (InterruptedRunError, UNAVAILABLE, "INTERRUPTED", None),
    (AnswerTooLargeError, EXHAUSTED, "TOO_LARGE", None),
    (KeyMissingError, PRECONDITION, "LM_NOT_CONFIGURED", None),
    (KeyRefusedError, PRECONDITION, "LM_AUTH_FAILED", None),
    (
        dspy_errors.LMRateLimitError,
        EXHAUSTED,
        "LM_RATE_LIMITED",
        "the model's provider limits the rate of requests",
    ),
    (
        dspy_errors.LMBillingError,
        EXHAUSTED,
        "LM_RATE_LIMITED",
        "the account at the model's provider has run out",
    ),
    (
        dspy_errors.LMAuthError,
        PRECONDITION,
        "LM_AUTH_FAILED",
        "the model's provider refuses the server's key",
    ),
    (
        dspy_errors.LMConfigurationError,
        PRECONDITION,
        "LM_NOT_CONFIGURED",
        "the model is not configured on the server",
    ),
    (
        dspy_errors.LMUnsupportedModelError,
        PRECONDITION,
        "LM_NOT_CONFIGURED",
        "the model's provider does not have it",
    ),
    (
        dspy_errors.ContextWindowExceededError,
        INVALID,
        "CONTEXT_WINDOW_EXCEEDED",
        "the prompt is longer than the model takes",
    ),
    (
        dspy_errors.LMInvalidRequestError,
        PRECONDITION,
        "LM_REFUSED",
        "the model's provider refuses the request",
    ),
    (
        dspy_errors.LMUnsupportedFeatureError,
        PRECONDITION,
        "LM_REFUSED",
        "the model can't do what the request asks for",
    ),
    (dspy_errors.LMTimeoutError, UNAVAILABLE, "LM_UNAVAILABLE", "the model did not answer in time"),
    (dspy_errors.LMTransportError, UNAVAILABLE, "LM_UNAVAILABLE", "the model can't be reached"),
    (dspy_errors.LMServerError, UNAVAILABLE, "LM_UNAVAILABLE", "the model's provider failed"),
    (dspy_errors.LMError, UNAVAILABLE, "LM_UNAVAILABLE", "the request to the model failed"),
]


def fault_of(error: BaseException) -> Fault:
    """The fault of an exception, by the table.

    An exception that the table lacks is logged under a random id, and its fault names only the id.
    """
    if isinstance(error, FaultError):
        return error.fault
    for kind, code, reason, message in TABLE:
        if isinstance(error, kind):
            if kind.__module__.startswith("dspy."):
                logger.warning(
                    "the model failed",
                    extra={"fields": {"reason": reason, "error": type(error).__name__}},
                )
            return Fault(code, reason, message or str(error), retry_after_of(error))
    incident = secrets.token_hex(4)
    logger.error(
        "a call failed in a way nobody foresaw",
        exc_info=error,
        extra={"fields": {"incident": incident}},
    )
    return Fault(INTERNAL, "INTERNAL", f"internal error; the sidecar's log has it under {incident}")


def retry_after_of(error: BaseException) -> float | None:
    """The provider's retry time in seconds, at most MAX_RETRY_AFTER_S; None if it told none."""
    seconds = getattr(error, "retry_after", None)
    if not isinstance(seconds, int | float) or not seconds >= 0:
        return None
    return min(seconds, MAX_RETRY_AFTER_S)


def failure_of(error: BaseException) -> pb.Failure:
    """The fault of an exception, as the last event of a run."""
    fault = fault_of(error)
    return pb.Failure(
        code=fault.code.value[0],
        reason=fault.reason,
        message=fault.message,
        retry_after_s=fault.retry_after_s,
        refusals=getattr(error, "refusals", ()),
    )


async def abort(context: grpc.aio.ServicerContext, error: BaseException) -> None:
    """Ends a gRPC call with the fault of an exception."""
    fault = fault_of(error)
    details = [packed(error_details_pb2.ErrorInfo(reason=fault.reason, domain="sigrun"))]
    if fault.retry_after_s is not None:
        delay = Duration()
        delay.FromMilliseconds(round(fault.retry_after_s * 1000))
        details.append(packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    status = status_pb2.Status(code=fault.code.value[0], message=fault.message, details=details)
    await context.abort_with_status(rpc_status.to_status(status))


def packed(message: error_details_pb2.ErrorInfo | error_details_pb2.RetryInfo) -> AnyMessage:
    """A message as google.protobuf.Any."""
    envelope = AnyMessage()
    envelope.Pack(message)
    return envelope
