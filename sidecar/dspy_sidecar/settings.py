"""What the operator set."""

from collections.abc import Mapping
from dataclasses import dataclass

EMBEDDED = "embedded/smollm2"


@dataclass(frozen=True)
class Settings:
    """Which models there are, and where the default one's provider is."""

    default_model: str
    allowed_models: tuple[str, ...]
    """The default one first."""
    api_base: str | None
    """Of the default model's provider, and of no other."""

    @staticmethod
    def read(environ: Mapping[str, str]) -> "Settings":
        """Reads SIGRUN_LM, SIGRUN_LM_ALLOWED and SIGRUN_LM_API_BASE."""
        default = environ.get("SIGRUN_LM") or EMBEDDED
        further = [name.strip() for name in environ.get("SIGRUN_LM_ALLOWED", "").split(",")]
        allowed = tuple(dict.fromkeys([default, *filter(None, further)]))
        return Settings(default, allowed, environ.get("SIGRUN_LM_API_BASE") or None)

    @property
    def wants_embedded(self) -> bool:
        """Whether the local model is among those allowed."""
        return any(is_embedded(model) for model in self.allowed_models)


def is_embedded(model: str) -> bool:
    """Whether a model is the local one."""
    return model.startswith("embedded/")
