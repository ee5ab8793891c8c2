"""The first request by litellm leaves the event loop to other runs while litellm is imported."""

import asyncio
import json
import os
import sys

from process import SIDECAR

from dspy_sidecar.heartbeat import MAX_SILENCE_S

SCRIPT = """
import asyncio, json, sys, threading, time
sys.path.insert(0, "gen")
import dspy
from dspy_sidecar.models import dspy_patches

dspy_patches.install()

on_loop = set()

class Importing:
    @staticmethod
    def find_spec(name, *_):
        if threading.current_thread() is threading.main_thread():
            on_loop.add(name)

async def main():
    lags = []
    sys.meta_path.insert(0, Importing)

    async def tick():
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.02)
            lags.append(time.monotonic() - began)

    ticking = asyncio.create_task(tick())
    given = {"api_base": sys.argv[1], "api_key": "test", "cache": False}
    lm = dspy.LM("openai/scripted", engine="litellm", **given)
    began = time.monotonic()
    assert "litellm.main" not in sys.modules
    await lm.acall("Where?")
    took = time.monotonic() - began
    large = {"litellm", "litellm.main", "openai.resources", "openai.resources.chat"}
    assert large <= sys.modules.keys()
    seen = {"took": took, "lag": max(lags), "ticks": len(lags), "on_loop": list(large & on_loop)}
    print(json.dumps(seen))

asyncio.run(main())
"""


async def test_the_event_loop_goes_on_while_litellm_is_imported(model):
    model.script({"answer": "here"})
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", SCRIPT, model.url),
        cwd=SIDECAR,
        # Without it, litellm fetches a price list.
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "true"},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    seen = json.loads(output)
    assert seen["on_loop"] == [], seen
    # The import holds the interpreter's lock for parts of a second. Blocked, the loop would tick
    # once or twice, and its lag would be the whole import.
    assert seen["ticks"] > 10 and seen["lag"] < min(seen["took"] / 2, MAX_SILENCE_S / 2), seen
