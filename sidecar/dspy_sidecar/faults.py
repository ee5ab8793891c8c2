"""What can go wrong, and as what it goes over the wire."""

import secrets
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
    """The program of that id is not held here."""


class BuildFailedError(Exception):
    """DSPy can't build the program."""


class NotEnabledError(Exception):
    """The program needs what the operator has not switched on, or not installed."""


class ModelNotAllowedError(Exception):
    """The operator does not allow that model."""


class NotWarmError(Exception):
    """The default model is not loaded yet."""


class CodeFailedError(Exception):
    """The code that the model wrote came to no end."""


class OutputUnreadableError(Exception):
    """The model's answer does not hold the output fields."""


class BudgetExceededError(Exception):
    """The budget of an optimization has no room for what must be."""


class InterruptedRunError(Exception):
    """The process that did it is gone."""


@dataclass(frozen=True)
class Fault:
    """What the gateway is told: a code, an ErrorReason without its prefix, a sentence, and when to come again."""

    code: grpc.StatusCode
    reason: str
    message: str
    retry_after_s: float | None = None


class FaultError(Exception):
    """A fault that another process found, and logged."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


INVALID, PRECONDITION = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION
INTERNAL, UNAVAILABLE = grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED

# The first class that fits; None as message: the exception's own words, which hold nothing of a caller's.
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
    (
        OutputUnreadableError,
        INTERNAL,
        "OUTPUT_INVALID",
        "the model's answer can't be read as the signature's outputs",
    ),
    (BudgetExceededError, EXHAUSTED, "BUDGET_EXCEEDED", None),
    (InterruptedRunError, UNAVAILABLE, "INTERRUPTED", None),
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
    """The fault that an exception stands for; one that nobody foresaw is logged under an id, and only that is told."""
    if isinstance(error, FaultError):
        return error.fault
    for kind, code, reason, message in TABLE:
        if isinstance(error, kind):
            if kind.__module__.startswith("dspy."):
                logger.warning(
                    "the model failed",
                    extra={"fields": {"reason": reason, "error": type(error).__name__}},
                )
            return Fault(code, reason, message or str(error), getattr(error, "retry_after", None))
    incident = secrets.token_hex(4)
    logger.error(
        "a call failed in a way nobody foresaw",
        exc_info=error,
        extra={"fields": {"incident": incident}},
    )
    return Fault(INTERNAL, "INTERNAL", f"internal error; the sidecar's log has it under {incident}")


def failure_of(error: BaseException) -> pb.Failure:
    """The same as a run's end."""
    fault = fault_of(error)
    return pb.Failure(
        code=fault.code.value[0],
        reason=fault.reason,
        message=fault.message,
        retry_after_s=fault.retry_after_s,
    )


async def abort(context: grpc.aio.ServicerContext, error: BaseException) -> None:
    """Ends a call with the fault of an exception."""
    fault = fault_of(error)
    details = [packed(error_details_pb2.ErrorInfo(reason=fault.reason, domain="sigrun"))]
    if fault.retry_after_s is not None:
        delay = Duration()
        delay.FromMilliseconds(round(fault.retry_after_s * 1000))
        details.append(packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    status = status_pb2.Status(code=fault.code.value[0], message=fault.message, details=details)
    await context.abort_with_status(rpc_status.to_status(status))


def packed(message: error_details_pb2.ErrorInfo | error_details_pb2.RetryInfo) -> AnyMessage:
    """A message in its envelope."""
    envelope = AnyMessage()
    envelope.Pack(message)
    return envelope
