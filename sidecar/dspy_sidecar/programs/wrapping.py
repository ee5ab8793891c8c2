"""Modules that run another module several times."""

import asyncio
from typing import Any

import dspy
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.programs.reading import reads_as
from dspy_sidecar.programs.rewards import Fits, Judge, reward_of
from dspy_sidecar.threads import in_thread

Params = dict[str, Any]


class Sampling(dspy.Module):  # type: ignore[misc]
    """DSPy's BestOfN or Refine around a module."""

    kind: type[dspy.Module]

    def __init__(self, module: dspy.Module, signature: pb.Signature, params: Params) -> None:
        super().__init__()
        self.module = module
        self._reward: Fits | Judge = reward_of(signature, params)
        self._params = {
            name: params[name] for name in ("N", "threshold", "fail_count") if name in params
        }

    async def aforward(self, **inputs: Any) -> dspy.Prediction:
        """The best prediction of several; the last fault where none came about."""
        with dspy.context(trace=[]):
            return await in_thread(lambda: self._best(inputs))

    def forward(self, **inputs: Any) -> dspy.Prediction:
        """The same, for optimizers, which look at the trace."""
        with dspy.context(trace=[] if dspy.settings.trace is None else dspy.settings.trace):
            return self._best(inputs)

    def _best(self, inputs: dict[str, Any]) -> dspy.Prediction:
        # A fresh one a call, since it counts failures in itself.
        made = self.kind(module=self.module, reward_fn=self._reward, **self._params)
        # Refine tells the model what it is scored by, and would take the reward's source for it.
        made.reward_fn_code = self._reward.told
        faults = Faults()
        with dspy.context(callbacks=[*dspy.settings.callbacks, faults]):
            prediction = made(**inputs)
        if prediction is None:
            raise faults.last or RuntimeError("no attempt came to a prediction")
        return prediction


@reads_as(dspy.BestOfN)
class BestOfN(Sampling):
    """DSPy's BestOfN around a module."""

    kind = dspy.BestOfN


@reads_as(dspy.Refine)
class Refine(Sampling):
    """DSPy's Refine around a module."""

    kind = dspy.Refine


class Faults(dspy.utils.callback.BaseCallback):  # type: ignore[misc]
    """Keeps the last exception of a module: BestOfN and Refine only print exceptions."""

    def __init__(self) -> None:
        self.last: Exception | None = None

    def on_module_end(self, call_id: str, outputs: Any, exception: Exception | None = None) -> None:
        """Keeps the exception of a module that failed."""
        self.last = exception or self.last


class Comparison(dspy.Module):  # type: ignore[misc]
    """DSPy's MultiChainComparison over the answers of a ChainOfThought."""

    def __init__(
        self, module: dspy.Module, signature: type[dspy.Signature], params: Params
    ) -> None:
        super().__init__()
        self.module = module
        self.compare = dspy.MultiChainComparison(
            signature, M=params["M"], temperature=params["temperature"]
        )
        self._params = params

    async def aforward(self, **inputs: Any) -> dspy.Prediction:
        """Several lines of reasoning side by side, then their comparison."""
        chains = [
            asyncio.create_task(self._chain(number, inputs)) for number in range(self._params["M"])
        ]
        try:
            completions = [dict(chain.items()) for chain in await asyncio.gather(*chains)]
        finally:
            for chain in chains:
                chain.cancel()
        return await in_thread(lambda: self.compare(completions=completions, **inputs))

    def forward(self, **inputs: Any) -> dspy.Prediction:
        """The same, one line after another, for optimizers."""
        completions = []
        for number in range(self._params["M"]):
            with dspy.context(lm=self._lm(number)):
                completions.append(dict(self.module(**inputs).items()))
        return self.compare(completions=completions, **inputs)

    async def _chain(self, number: int, inputs: dict[str, Any]) -> dspy.Prediction:
        # Lines that are written at the same time are no stream.
        with dspy.context(lm=self._lm(number), send_stream=None):
            return await self.module.acall(**inputs)

    def _lm(self, number: int) -> dspy.LM:
        return dspy.settings.lm.copy(rollout_id=number, temperature=self._params["temperature"])
