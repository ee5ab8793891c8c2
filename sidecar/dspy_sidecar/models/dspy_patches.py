"""The parts of DSPy that the sidecar replaces, since DSPy has no settings for them."""

from dspy_sidecar.models import (
    litellm_import,
    long_values,
    markers,
    provider_errors,
    retries,
)
from dspy_sidecar.models.http import answer_size, event_size, type_adapters, usage
from dspy_sidecar.models.reading import cut_off, field_values, json_answers, xml_answers


def install() -> None:
    """Replaces the parts in this process, and in the processes that are forked from it.

    Every process that runs programs calls this once, before its first `Models`.
    """
    answer_size.install()
    type_adapters.install()
    json_answers.install()
    xml_answers.install()
    field_values.install()
    cut_off.install()
    event_size.install()
    long_values.install()
    markers.install()
    litellm_import.install()
    retries.install()
    provider_errors.install()
    usage.install()


def require() -> None:
    """Refuses to go on without the parts, because text could become a file of a request.

    Raises:
        RuntimeError: `install` has not run.

    """
    if not markers.are_installed():
        raise RuntimeError("dspy_patches.install() must run before models are used")
