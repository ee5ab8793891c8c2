"""Workers that hang in three ways, under the sidecar's own parent: `hanging_workers.py FOLDER`.

Each process of a worker makes a file with the worker's number and its pid.
"""

import asyncio
import ctypes
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[2] / "gen"))

from dspy_sidecar import log
from dspy_sidecar.forks import Forks
from dspy_sidecar.serving.server import beat_always
from dspy_sidecar.serving.workers import Workers

SLEEP_S = 3_600


async def loop_for_ever() -> None:
    while True:
        pass


async def hold_the_lock() -> None:
    # A PyDLL's functions keep the interpreter's lock.
    ctypes.PyDLL(None).sleep(SLEEP_S)


async def stay_well() -> None:
    await asyncio.sleep(SLEEP_S)


KINDS = [loop_for_ever, hold_the_lock, stay_well]


def note(number: int) -> None:
    Path(sys.argv[1], f"{number}-{os.getpid()}").touch()


def work(number: int, alive: int, beat) -> None:
    was_replaced = any(Path(sys.argv[1]).glob(f"{number}-*"))

    async def main() -> None:
        asyncio.get_running_loop().add_reader(alive, os._exit, 1)
        beating = asyncio.create_task(beat_always(beat))
        await asyncio.sleep(0.1)
        note(number)
        await (stay_well if was_replaced else KINDS[number])()
        beating.cancel()

    asyncio.run(main())


log.set_up()
Workers(len(KINDS), work, lambda: None, Forks(lambda: lambda *_: None)).run()
