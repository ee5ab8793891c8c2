"""Language models and adapters, chosen by settings."""

from collections import OrderedDict
from typing import Any

import dspy
import orjson
from dspy.lm15 import (
    AccessPolicy,
    EndpointSupport,
    ModelSupport,
    OpenAIChatCompat,
    ProviderDefinition,
    register_provider,
)
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.faults import ModelNotAllowedError
from dspy_sidecar.models import dspy_patches
from dspy_sidecar.models.adapters import ChatAdapter, JSONAdapter, SmallModelAdapter, XMLAdapter
from dspy_sidecar.models.embedded import EmbeddedModel
from dspy_sidecar.models.http import answer_size
from dspy_sidecar.models.http.engine import Engines
from dspy_sidecar.models.lm import LM
from dspy_sidecar.settings import Settings, is_embedded

MAX_CHOICES = 256
"""Combinations of settings whose model and adapter are kept."""

NUM_RETRIES = 3
"""Retries of a request that failed for a time, as many as of stock DSPy."""

EMBEDDED_MAX_TOKENS = 512
"""Default and maximum of an answer's tokens from the embedded model."""

ADAPTERS: dict[str, dspy.Adapter] = {
    "ChatAdapter": ChatAdapter(),
    "JSONAdapter": JSONAdapter(),
    "XMLAdapter": XMLAdapter(),
}
SMALL_MODEL_ADAPTER = SmallModelAdapter()


class Models:
    """LRU cache of `dspy.LM`s for the models that the operator allows, by their settings."""

    def __init__(self, settings: Settings, embedded: EmbeddedModel | None) -> None:
        dspy_patches.require()
        answer_size.install(settings.max_answer)
        self._settings = settings
        self._chosen: OrderedDict[tuple[bytes, ...], tuple[dspy.LM, dspy.Adapter]] = OrderedDict()
        self._engines = Engines()
        if embedded:
            register_embedded(embedded.url)

    def choose(self, *layers: pb.LmSettings) -> tuple[dspy.LM, dspy.Adapter]:
        """The model and the adapter for layers of settings; later layers override earlier ones.

        Raises:
            ModelNotAllowedError: The operator does not allow the model.

        """
        key = tuple(layer.SerializeToString() for layer in layers)
        if key not in self._chosen:
            self._chosen[key] = self._choose(layers)
        self._chosen.move_to_end(key)
        while len(self._chosen) > MAX_CHOICES:
            self._chosen.popitem(last=False)
        return self._chosen[key]

    async def close(self) -> None:
        """Closes the connections to the models' servers."""
        await self._engines.transport.close()

    def _choose(self, layers: tuple[pb.LmSettings, ...]) -> tuple[dspy.LM, dspy.Adapter]:
        chosen = pb.LmSettings(model=self._settings.default_model)
        params: dict[str, Any] = {}
        for layer in layers:
            chosen.MergeFrom(layer)
            params.update(orjson.loads(layer.params) if layer.params else {})
        if chosen.model not in self._settings.allowed_models:
            raise ModelNotAllowedError(chosen.model)
        temperature = chosen.temperature if chosen.HasField("temperature") else None
        max_tokens = chosen.max_tokens if chosen.HasField("max_tokens") else None
        lm = self._make_lm(chosen.model, temperature, max_tokens, chosen.cache, params)
        if chosen.adapter:
            return lm, ADAPTERS[chosen.adapter]
        return lm, SMALL_MODEL_ADAPTER if is_embedded(chosen.model) else ADAPTERS["ChatAdapter"]

    def _make_lm(
        self,
        model: str,
        temperature: float | None,
        max_tokens: int | None,
        cache: bool,
        params: dict[str, Any],
    ) -> dspy.LM:
        address: dict[str, Any] = {}
        provider = self._settings.default_model.split("/", 1)[0]
        if self._settings.api_base and model.split("/", 1)[0] == provider:
            address["api_base"] = self._settings.api_base
        if is_embedded(model):
            temperature = 0.0 if temperature is None else temperature
            max_tokens = min(max_tokens or EMBEDDED_MAX_TOKENS, EMBEDDED_MAX_TOKENS)
        # The gateway lets only allowed params through. They come first, so that none can override
        # another argument.
        return LM(
            **{**params, **address, "temperature": temperature, "max_tokens": max_tokens},
            model=model,
            engines=self._engines,
            cache=cache,
            num_retries=NUM_RETRIES,
        )


def register_embedded(url: str) -> None:
    """Registers the embedded model's server with DSPy, as a provider that takes JSON schemas."""
    policy = AccessPolicy(
        provider="embedded",
        auth_modes=("bearer",),
        base_url=url,
        supports=EndpointSupport(complete=True, stream=True, models=True),
    )
    definition = ProviderDefinition.chat(
        policy, compat=OpenAIChatCompat.preset("lmstudio"), placeholder_key="local"
    )
    supports = ModelSupport(response_schema=True, function_calling=False, reasoning=False)
    register_provider(definition, supports=supports, replace=True)
