"""The operator's settings, from environment variables."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dspy_sidecar.cores import usable_cores

EMBEDDED = "embedded/smollm2"

DEFAULT_MAX_ANSWER = 32 * 2**20
KEY = re.compile(
    r"_API_KEY$|^AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|BEARER_TOKEN_BEDROCK)$"
    r"|^(AZURE_AD|HF)_TOKEN$"
)
"""Names of variables with keys of providers."""

UNITS = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


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
    max_answer: int = DEFAULT_MAX_ANSWER
    """Maximum size of a model's answer, in bytes."""
    token: str | None = field(default=None, repr=False)
    """What callers on TCP must send."""

    @staticmethod
    def read(environ: Mapping[str, str]) -> "Settings":
        """Reads the variables of the models and the workers.

        Raises:
            SettingsError: A value is wrong.

        """
        default = environ.get("SIGRUN_LM") or EMBEDDED
        further = [name.strip() for name in environ.get("SIGRUN_LM_ALLOWED", "").split(",")]
        allowed = tuple(dict.fromkeys([default, *filter(None, further)]))
        workers = environ.get("SIGRUN_WORKERS")
        if workers and not (workers.isdecimal() and int(workers) > 0):
            raise SettingsError("SIGRUN_WORKERS must be a whole number from 1")
        count = int(workers) if workers else usable_cores()
        base = environ.get("SIGRUN_LM_API_BASE") or None
        for name, value in environ.items():
            if KEY.search(name) or name == "SIGRUN_SIDECAR_TOKEN":
                check_line(name, value)
        max_answer = read_size(environ, "SIGRUN_LM_MAX_ANSWER")
        token = environ.get("SIGRUN_SIDECAR_TOKEN") or None
        return Settings(default, allowed, base, count, max_answer, token)

    @property
    def wants_embedded(self) -> bool:
        """Whether programs may use the local model."""
        return any(is_embedded(model) for model in self.allowed_models)


def check_line(name: str, value: str) -> None:
    """Refuses what no header can hold, such as the newline at the end of a file with a key.

    Raises:
        SettingsError: The value is no line of printable ASCII. The message does not hold the value.

    """
    if not all("!" <= character <= "~" for character in value):
        raise SettingsError(
            f"{name} holds a blank, a newline or another character that no key has; "
            "expected one line of printable ASCII"
        )


def read_size(environ: Mapping[str, str], name: str) -> int:
    """A size in bytes, such as 32MiB; the default if it is not set.

    Raises:
        SettingsError: It is no size.

    """
    text = environ.get(name)
    if not text:
        return DEFAULT_MAX_ANSWER
    found = re.fullmatch(r"([1-9]\d{0,8})(|KiB|MiB|GiB)", text)
    if found is None:
        raise SettingsError(f"{name} must be a size such as 32MiB, in bytes, KiB, MiB or GiB")
    return int(found[1]) * UNITS[found[2]]


def is_embedded(model: str) -> bool:
    """Whether a model, as provider/model, is the local one."""
    return model.startswith("embedded/")
