"""The first request by litellm leaves the event loop to other runs while litellm is imported."""

import asyncio
import json
import sys

from process import SIDECAR

SCRIPT = """
import asyncio, json, sys, time
import dspy
from dspy_sidecar.models import dspy_patches

dspy_patches.install()

async def main():
    lags = []

    async def tick():
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.02)
            lags.append(time.monotonic() - began)

    ticking = asyncio.create_task(tick())
    lm = dspy.LM("openai/scripted", engine="litellm", api_base=sys.argv[1], api_key="test")
    began = time.monotonic()
    assert "litellm.main" not in sys.modules
    await lm.acall("Where?")
    assert "litellm.main" in sys.modules
    print(json.dumps({"took": time.monotonic() - began, "lag": max(lags), "ticks": len(lags)}))

asyncio.run(main())
"""


async def test_the_event_loop_goes_on_while_litellm_is_imported(model):
    model.script({"answer": "here"})
    process = await asyncio.create_subprocess_exec(
        sys.executable, *("-c", SCRIPT, model.url), cwd=SIDECAR, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    seen = json.loads(output)
    # Blocked, the loop would tick once or twice, and its lag would be the whole import.
    assert seen["ticks"] > 10 and seen["lag"] < seen["took"] / 2, seen
