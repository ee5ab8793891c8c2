"""Models that an optimization pays for."""

from collections.abc import Awaitable, Callable
from typing import Any

import dspy

from dspy_sidecar.optimizing.budget import Purse


class Spending:
    """A model whose requests are paid from a purse; before the model's own class among its bases."""

    purse: Purse
    adapter: dspy.Adapter
    """The one for this model."""

    def __deepcopy__(self, memo: Any) -> Any:
        """A copy that shares the way to the provider, as `LM.copy` makes it."""
        return self.copy()  # type: ignore[attr-defined]

    def __call__(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        """As the model's own."""
        settings: dict[str, Any] = {**self.kwargs, **kwargs}  # type: ignore[attr-defined]
        asked: Callable[..., Awaitable[Any]] = super().acall  # type: ignore[misc]
        return self.purse.ask(
            lambda: asked(prompt, messages=messages, **kwargs), settings.get("n") or 1
        )


def spending(lm: dspy.LM, adapter: dspy.Adapter, purse: Purse) -> dspy.LM:
    """The same model, paid from a purse."""
    made = lm.copy()
    made.__class__ = type(type(lm).__name__, (Spending, type(lm)), {})
    made.purse, made.adapter = purse, adapter
    return made


class EachItsOwn(dspy.Adapter):  # type: ignore[misc]
    """Writes for each model as is best for that model: an optimizer may ask several."""

    def __call__(
        self, lm: Any, lm_kwargs: Any, signature: Any, demos: Any, inputs: Any
    ) -> list[dict[str, Any]]:
        """As an adapter's."""
        return lm.adapter(lm, lm_kwargs, signature, demos, inputs)  # type: ignore[no-any-return]
