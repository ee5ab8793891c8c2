"""The operator's settings, from environment variables."""

from collections.abc import Mapping
from dataclasses import dataclass

from dspy_sidecar.cores import usable_cores

EMBEDDED = "embedded/smollm2"


class SettingsError(Exception):
    """The sidecar can't start with a setting of the operator's."""


@dataclass(frozen=True)
class Settings:
    """The models that programs may use, and the number of processes that serve."""

    default_model: str
    """provider/model"""
    allowed_models: tuple[str, ...]
    """Models that programs may name, the default one first."""
    api_base: str | None
    """Address of the default model's provider; other models do not use it."""
    workers: int = 1

    @staticmethod
    def read(environ: Mapping[str, str]) -> "Settings":
        """Reads SIGRUN_LM, SIGRUN_LM_ALLOWED, SIGRUN_LM_API_BASE and SIGRUN_WORKERS."""
        default = environ.get("SIGRUN_LM") or EMBEDDED
        further = [name.strip() for name in environ.get("SIGRUN_LM_ALLOWED", "").split(",")]
        allowed = tuple(dict.fromkeys([default, *filter(None, further)]))
        workers = environ.get("SIGRUN_WORKERS")
        if workers and not (workers.isdecimal() and int(workers) > 0):
            raise ValueError("SIGRUN_WORKERS must be a whole number from 1")
        count = int(workers) if workers else usable_cores()
        return Settings(default, allowed, environ.get("SIGRUN_LM_API_BASE") or None, count)

    @property
    def wants_embedded(self) -> bool:
        """Whether programs may use the local model."""
        return any(is_embedded(model) for model in self.allowed_models)


def is_embedded(model: str) -> bool:
    """Whether a model, as provider/model, is the local one."""
    return model.startswith("embedded/")
