"""What an optimization spends on models, and the budget that ends it."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import dspy
from dspy.utils.exceptions import LMError
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.faults import BudgetExceededError
from dspy_sidecar.optimizing.student import RUNS


class BudgetSpentError(BudgetExceededError):
    """A request to a model that the budget has no room for."""


class Purse:
    """Counts what all threads spend, in one place, and refuses a request once the budget is spent, less what is put by.

    Requests to models are made on an event loop of its own, since there they can be ended when the time is over.

    Args:
        budget: What may be spent; 0 for no bound.
        began: When the time of the budget began, by the monotonic clock.

    """

    def __init__(self, budget: pb.Budget, began: float) -> None:
        self.usage = pb.TokenUsage()
        self.spent_on: str | None = None
        """Which bound ended it: time, lm_calls or tokens."""
        self.largest = 0
        """Tokens of a request of the program's own, at most."""
        self.begin_phase()
        self._calls, self._tokens = budget.lm_calls or None, budget.tokens or None
        self._deadline = began + budget.time_ms / 1000 if budget.time_ms else None
        self._kept_calls, self._kept_tokens, self._kept_s = 0, 0, 0.0
        self._in_flight = 0
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        threading.Thread(
            target=self._loop.run_forever, name="requests to models", daemon=True
        ).start()

    def __deepcopy__(self, memo: Any) -> "Purse":
        """There is one: DSPy copies programs, their models and its usage trackers."""
        return self

    @property
    def tokens(self) -> int:
        """Both ways."""
        return self.usage.input_tokens + self.usage.output_tokens

    @property
    def is_overdrawn(self) -> bool:
        """Whether the requests that were on their way together took more tokens than there were."""
        return self._tokens is not None and self.tokens > self._tokens

    def put_by(self, calls: int, tokens: int, seconds: float) -> None:
        """Keeps a part of the budget for later; in place of what was kept before."""
        self._kept_calls, self._kept_tokens, self._kept_s = calls, tokens, seconds
        self.spent_on = None

    def begin_phase(self) -> None:
        """Counts anew how many requests there are, and how many of them fail."""
        self._requests, self._failed = 0, 0
        self._last_fault: LMError | None = None

    @property
    def common_fault(self) -> LMError | None:
        """The last fault of the model's provider, where no request of this phase was answered."""
        return self._last_fault if self._failed == self._requests else None

    def time_left(self) -> float | None:
        """Seconds until the time is over; None where there is no bound."""
        return None if self._deadline is None else self._deadline - self._kept_s - time.monotonic()

    def is_spent(self) -> bool:
        """Whether a further request would be refused."""
        self.spent_on = self.spent_on or self._over(1)
        return self.spent_on is not None

    def ask(self, request: Callable[[], Awaitable[Any]], count: int) -> Any:
        """Makes a request that stands for so many, and waits for its answer; BudgetSpentError where there is no room."""
        with self._lock:
            self.spent_on = self.spent_on or self._over(count)
            if self.spent_on:
                raise BudgetSpentError(f"the budget of {self.spent_on} is spent")
            self._in_flight += count
        tally = Tally()
        try:
            return self._wait(request, tally)
        except LMError as error:
            tally.is_asked, tally.fault = True, error
            raise
        finally:
            self._settle(tally, count)

    def _over(self, count: int) -> str | None:
        left = self.time_left()
        if left is not None and left <= 0:
            return "time"
        if (
            self._calls is not None
            and self.usage.lm_calls + self._in_flight + count > self._calls - self._kept_calls
        ):
            return "lm_calls"
        # What those on their way will spend is not known; most are alike.
        expected = self._in_flight * (self.tokens // max(1, self.usage.lm_calls))
        kept = max(self._kept_tokens, self._kept_calls * self.largest)
        return (
            "tokens"
            if self._tokens is not None and self.tokens + expected >= self._tokens - kept
            else None
        )

    def _wait(self, request: Callable[[], Awaitable[Any]], tally: "Tally") -> Any:
        async def counted() -> Any:
            with dspy.context(usage_tracker=tally):
                return await request()

        future = asyncio.run_coroutine_threadsafe(counted(), self._loop)
        try:
            return future.result(self.time_left())
        except TimeoutError:
            if future.done():
                raise
            future.cancel()
            tally.is_asked = True
            self.spent_on = "time"
            raise BudgetSpentError("the budget of time is spent") from None

    def _settle(self, tally: "Tally", count: int) -> None:
        with self._lock:
            self._in_flight -= count
            if not tally.is_asked:
                # From the cache.
                return
            self._requests += 1
            if tally.fault:
                self._failed, self._last_fault = self._failed + 1, tally.fault
            self.usage.lm_calls += count
            self.usage.input_tokens += tally.input_tokens
            self.usage.output_tokens += tally.output_tokens
            self.usage.cached_tokens += tally.cached_tokens
            if RUNS.get():
                self.largest = max(self.largest, tally.input_tokens + tally.output_tokens)


class Tally:
    """DSPy's usage tracker of one request: told of its use, unless the answer comes from the cache."""

    def __init__(self) -> None:
        self.is_asked = False
        self.fault: LMError | None = None
        self.input_tokens = self.output_tokens = self.cached_tokens = 0

    def add_usage(self, lm: str, entry: dict[str, Any]) -> None:
        """DSPy's own method."""
        self.is_asked = True
        details = entry.get("prompt_tokens_details") or {}
        cached = (
            details.get("cached_tokens")
            if isinstance(details, dict)
            else getattr(details, "cached_tokens", 0)
        )
        self.input_tokens += entry.get("prompt_tokens") or 0
        self.output_tokens += entry.get("completion_tokens") or 0
        self.cached_tokens += cached or 0
