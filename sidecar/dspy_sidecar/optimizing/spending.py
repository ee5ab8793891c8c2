"""Models whose requests are spent from an optimization's budget."""

from collections.abc import Awaitable, Callable
from typing import Any

import dspy

from dspy_sidecar.optimizing.budget import Budget


class Budgeted:
    """A model's requests go through a budget. Mixed in before the model's own class."""

    budget: Budget
    adapter: dspy.Adapter
    """The adapter that suits this model."""

    def __deepcopy__(self, memo: Any) -> Any:
        """A copy that shares the connections to the provider, as `LM.copy` makes it."""
        return self.copy()  # type: ignore[attr-defined]

    def __call__(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        """Requests completions, if the budget has room; raises as `Budget.spend`."""
        settings: dict[str, Any] = {**self.kwargs, **kwargs}  # type: ignore[attr-defined]
        request: Callable[..., Awaitable[Any]] = super().acall  # type: ignore[misc]
        return self.budget.spend(
            lambda: request(prompt, messages=messages, **kwargs), settings.get("n") or 1
        )


def budgeted(lm: dspy.LM, adapter: dspy.Adapter, budget: Budget) -> dspy.LM:
    """A copy of a model whose requests are spent from a budget, with the adapter that suits it."""
    made = lm.copy()
    made.__class__ = type(type(lm).__name__, (Budgeted, type(lm)), {})
    made.budget, made.adapter = budget, adapter
    return made


class AdapterPerModel(dspy.Adapter):  # type: ignore[misc]
    """Uses the adapter of each `Budgeted` model: an optimizer may ask several models."""

    def __call__(
        self, lm: Any, lm_kwargs: Any, signature: Any, demos: Any, inputs: Any
    ) -> list[dict[str, Any]]:
        """Asks the model by its own adapter."""
        return lm.adapter(lm, lm_kwargs, signature, demos, inputs)  # type: ignore[no-any-return]
