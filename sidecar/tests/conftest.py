import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from process import running, scripted
from scripted_model import ScriptedModel
from worker import Worker

# Must be set before DSPy is imported, as in the sidecar.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "true"
os.environ.setdefault("OPENAI_API_KEY", "test")

import dspy

from dspy_sidecar.models import dspy_patches

dspy_patches.install()
# As the sidecar does it: answers on a disk would reach the next run of the tests.
dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=True)


@pytest_asyncio.fixture(scope="session")
async def model() -> AsyncIterator[ScriptedModel]:
    scripted_model = ScriptedModel()
    runner = await scripted_model.start()
    yield scripted_model
    await runner.cleanup()


@pytest_asyncio.fixture(scope="session")
async def work_dir(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest_asyncio.fixture(scope="session")
async def sidecar(model: ScriptedModel, work_dir: Path) -> AsyncIterator[Worker]:
    """The real process, shared by all tests without special settings."""
    env = {
        **scripted(model.url),
        "SIGRUN_LM_ALLOWED": "openai/other,openai/gpt-4o-mini,openai/gpt-5-mini",
    }
    async with running(env, "--work-dir", str(work_dir)) as stub:
        yield stub
