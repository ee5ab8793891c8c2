"""Settings of models as Python source."""

from typing import Any

import orjson
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.programs.source.literals import arguments, literal
from dspy_sidecar.settings import is_embedded


def merged(*layers: pb.LmSettings) -> pb.LmSettings:
    """Layers of settings as one; later layers override earlier ones."""
    whole = pb.LmSettings()
    params: dict[str, Any] = {}
    for layer in layers:
        whole.MergeFrom(layer)
        params.update(orjson.loads(layer.params) if layer.params else {})
    whole.params = orjson.dumps(params) if params else b""
    return whole


def setting_text(lm: pb.LmSettings) -> str:
    """Settings as the arguments of `dspy.context` or `dspy.configure`; empty if there are none."""
    kwargs: dict[str, Any] = orjson.loads(lm.params) if lm.params else {}
    for name in ("temperature", "max_tokens", "cache"):
        if lm.HasField(name):
            kwargs[name] = getattr(lm, name)
    settings = []
    # The local model belongs to the server.
    if lm.model and not is_embedded(lm.model):
        told = ", ".join(filter(None, [literal(lm.model), arguments(**kwargs)]))
        settings.append(f"lm=dspy.LM({told})")
    elif kwargs:
        settings.append(f"lm=dspy.settings.lm.copy({arguments(**kwargs)})")
    if lm.adapter:
        settings.append(f"adapter=dspy.{lm.adapter}()")
    return ", ".join(settings)
