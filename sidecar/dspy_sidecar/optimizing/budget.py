"""The budget of an optimization: counts what is spent on models, and ends the spending."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

import dspy
from dspy.utils.exceptions import LMError
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.faults import BudgetExceededError
from dspy_sidecar.models.http.usage import spent_tokens
from dspy_sidecar.optimizing.student import RUNS


class BudgetSpentError(BudgetExceededError):
    """The budget has no room for a request to a model."""


class Budget:
    """Counts the spending of all threads, and refuses each request that has no room.

    Requests to models run on an event loop of the budget's own, where they can be cancelled when
    the time is over.

    Args:
        limits: Time in milliseconds, requests and tokens that may be spent; 0 for no limit.
        began: Beginning of the time limit, in seconds of the monotonic clock.

    """

    def __init__(self, limits: pb.Budget, began: float) -> None:
        self.usage = pb.TokenUsage()
        self.spent_limit: str | None = None
        """The limit that was reached first: time, lm_calls or tokens."""
        self.max_request_tokens = 0
        """Tokens of the largest request of the program's own modules."""
        self.begin_phase()
        self._max_calls, self._max_tokens = limits.lm_calls or None, limits.tokens or None
        self._deadline = began + limits.time_ms / 1000 if limits.time_ms else None
        self._reserved_calls, self._reserved_tokens, self._reserved_s = 0, 0, 0.0
        self._calls_in_flight = 0
        self._slots: AbstractAsyncContextManager[Any] = nullcontext()
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        threading.Thread(
            target=self._loop.run_forever, name="requests to models", daemon=True
        ).start()

    def __deepcopy__(self, memo: Any) -> "Budget":
        """The same budget: DSPy copies programs with their models and usage trackers."""
        return self

    @property
    def tokens(self) -> int:
        """Input and output tokens that were spent."""
        return self.usage.input_tokens + self.usage.output_tokens

    @property
    def is_overdrawn(self) -> bool:
        """Whether parallel requests together took more tokens than the limit."""
        return self._max_tokens is not None and self.tokens > self._max_tokens

    def reserve(self, calls: int, tokens: int, seconds: float) -> None:
        """Keeps a part of each limit back for later, and replaces the previous reserve."""
        self._reserved_calls, self._reserved_tokens, self._reserved_s = calls, tokens, seconds
        self.spent_limit = None

    def limit_requests(self, at_once: int) -> None:
        """Makes further requests wait while so many are in flight.

        The threads of an optimizer do not bound them: a module may ask from threads of its own.
        """
        self._slots = asyncio.Semaphore(at_once)

    def begin_phase(self) -> None:
        """Begins a new count of requests and failed requests, for `common_fault`."""
        self._requests, self._failed = 0, 0
        self._last_fault: LMError | None = None

    @property
    def common_fault(self) -> LMError | None:
        """The provider's last fault, if every request of this phase failed; else None."""
        return self._last_fault if self._failed == self._requests else None

    def time_left(self) -> float | None:
        """Seconds until the time limit less its reserve; None without a time limit."""
        if self._deadline is None:
            return None
        return self._deadline - self._reserved_s - time.monotonic()

    def is_spent(self) -> bool:
        """Whether the budget would refuse a further request."""
        self.spent_limit = self.spent_limit or self._limit_reached_by(1)
        return self.spent_limit is not None

    def spend(self, request: Callable[[], Awaitable[Any]], calls: int) -> Any:
        """Makes a request to a model and waits for its answer.

        Args:
            request: Makes the request.
            calls: How many requests it counts as: the number of completions that it asks for.

        Raises:
            BudgetSpentError: The budget has no room, or the time ended before the answer.
            LMError: The provider's fault.

        """
        with self._lock:
            self.spent_limit = self.spent_limit or self._limit_reached_by(calls)
            if self.spent_limit:
                raise BudgetSpentError(f"the budget of {self.spent_limit} is spent")
            self._calls_in_flight += calls
        usage = RequestUsage()
        try:
            return self._wait(request, usage)
        except LMError as error:
            usage.was_sent, usage.fault = True, error
            raise
        finally:
            self._settle(usage, calls)

    def _limit_reached_by(self, calls: int) -> str | None:
        left = self.time_left()
        if left is not None and left <= 0:
            return "time"
        further = self._calls_in_flight + calls
        if (
            self._max_calls is not None
            and self.usage.lm_calls + further > self._max_calls - self._reserved_calls
        ):
            return "lm_calls"
        # The tokens of requests in flight are not known yet; most requests take about the mean.
        in_flight = self._calls_in_flight * (self.tokens // max(1, self.usage.lm_calls))
        reserved = max(self._reserved_tokens, self._reserved_calls * self.max_request_tokens)
        if self._max_tokens is not None and self.tokens + in_flight >= self._max_tokens - reserved:
            return "tokens"
        return None

    def _wait(self, request: Callable[[], Awaitable[Any]], usage: "RequestUsage") -> Any:
        async def tracked() -> Any:
            async with self._slots:
                # A request that was cut off by the time gives its turn to the next one.
                if self._limit_reached_by(0) == "time":
                    raise self._out_of_time()
                usage.began = True
                with dspy.context(usage_tracker=usage):
                    return await request()

        future = asyncio.run_coroutine_threadsafe(tracked(), self._loop)
        try:
            return future.result(self.time_left())
        except TimeoutError:
            if future.done():
                raise
            future.cancel()
            usage.was_sent = usage.began
            raise self._out_of_time() from None

    def _out_of_time(self) -> BudgetSpentError:
        self.spent_limit = "time"
        return BudgetSpentError("the budget of time is spent")

    def _settle(self, usage: "RequestUsage", calls: int) -> None:
        with self._lock:
            self._calls_in_flight -= calls
            if not usage.was_sent:
                # The answer came from the cache.
                return
            self._requests += 1
            if usage.fault:
                self._failed, self._last_fault = self._failed + 1, usage.fault
            self.usage.lm_calls += calls
            self.usage.input_tokens += usage.input_tokens
            self.usage.output_tokens += usage.output_tokens
            self.usage.cached_tokens += usage.cached_tokens
            if RUNS.get():
                tokens = usage.input_tokens + usage.output_tokens
                self.max_request_tokens = max(self.max_request_tokens, tokens)


class RequestUsage:
    """DSPy's usage tracker of one request. DSPy reports no usage for a cached answer."""

    def __init__(self) -> None:
        self.began = False
        """Whether the request no longer waits for its turn."""
        self.was_sent = False
        self.fault: LMError | None = None
        self.input_tokens = self.output_tokens = self.cached_tokens = 0

    def add_usage(self, lm: str, entry: dict[str, Any]) -> None:
        """Takes a request's usage from DSPy."""
        self.was_sent = True
        prompt, completion, cached = spent_tokens(entry)
        self.input_tokens += prompt
        self.output_tokens += completion
        self.cached_tokens += cached
