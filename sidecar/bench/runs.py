"""Measures the CPU time of a run in the sidecar, by /proc: other processes do not count.

Usage: npm run bench:sidecar -- --workers 1 --delay-ms 50 --concurrency 1,64,256 --demos 0,16
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import grpc
import orjson
from programs import STR, program, signature
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb
from worker import Worker

from dspy_sidecar.serving.workers import addresses

SIDECAR = Path(__file__).parent.parent
INPUTS = orjson.dumps(
    {"question": "What is the capital of France?", "context": "France is in Europe. " * 20}
)
OPTIONS = [("grpc.use_local_subchannel_pool", 1)]


def question(demos: int) -> pb.Program:
    """A program with two inputs, three outputs, and `demos` demos."""
    sig = signature(
        {"question": STR, "context": STR},
        {
            "answer": STR,
            "confidence": pb.Type(scalar=pb.SCALAR_FLOAT),
            "sources": pb.Type(list=pb.ListType(element=STR)),
        },
    )
    sig.instructions = "Answer the question from the context, with a confidence and the sources."
    made = program(sig)
    if demos:
        made.compiled_state = state(made, demos)
    return made


def state(made: pb.Program, demos: int) -> str:
    """What DSPy would save of the program with its demos."""
    import dspy

    from dspy_sidecar.programs.programs import build

    predict: dspy.Predict = build(made).steps[0].module
    predict.demos = [
        dspy.Example(
            question=f"Question {n}?",
            context="Some context. " * 10,
            answer=f"answer {n}",
            confidence=0.5,
            sources=["a", "b"],
        )
        for n in range(demos)
    ]
    return orjson.dumps(predict.dump_state()).decode()


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in family(int(child)))]


def cpu_s(pids: list[int]) -> float:
    """User and system time of processes."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """What a process has for itself, shared pages in part."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(rollup.split("Pss:")[1].split()[0]) / 1024


async def load(workers: list[Worker], asked: pb.Run, runs: int, at_once: int) -> None:
    """Makes `runs` runs, `at_once` in parallel, on each worker in turn."""
    left = iter(range(runs))

    async def caller() -> None:
        for number in left:
            async for _ in workers[number % len(workers)].run(asked):
                pass

    await asyncio.gather(*(caller() for _ in range(at_once)))


@contextmanager
def started(args: argparse.Namespace) -> Iterator[tuple[int, list[str]]]:
    """A model and a sidecar that asks it: the sidecar's process and where it listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tempfile.mkdtemp()
    target = f"unix:{folder}/sidecar.sock"
    env = {
        **os.environ,
        "SIGRUN_LM": "openai/fake",
        "SIGRUN_LM_API_BASE": f"http://127.0.0.1:{port}/v1",
    }
    env |= {"OPENAI_API_KEY": "none", "SIGRUN_WORKERS": str(args.workers)}
    command = [sys.executable, "-m", "dspy_sidecar", "--listen", target, "--exit-with-stdin"]
    model = subprocess.Popen(
        [sys.executable, SIDECAR / "bench/fake_model.py", str(port), str(args.delay_ms)]
    )
    sidecar = subprocess.Popen(
        command, cwd=SIDECAR, env=env, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield sidecar.pid, addresses(target, args.workers)
    finally:
        sidecar.communicate()
        model.terminate()


async def measure(args: argparse.Namespace, sidecar: int, targets: list[str]) -> None:
    """Prints a line for each combination of demos and runs at once."""
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(target, OPTIONS))
            for target in targets
        ]
        workers = [Worker(channel) for channel in channels]
        began = time.monotonic()
        for worker in workers:
            await here(worker)
        print(f"ready after {time.monotonic() - began:.1f} s", flush=True)
        for demos in args.demos:
            made = question(demos)
            for worker in workers:
                await worker.LoadProgram(pb.LoadProgramRequest(program=made))
            asked = pb.Run(program_id=made.id, inputs=INPUTS)
            for at_once in args.concurrency * args.rounds:
                runs = args.runs if at_once > 1 else max(1, args.runs // 10)
                await load(workers, asked, min(runs, 500), at_once)
                pids = family(sidecar)
                cpu, memory, clock = cpu_s(pids), sum(map(memory_mb, pids)), time.monotonic()
                await load(workers, asked, runs, at_once)
                took = time.monotonic() - clock
                print(
                    f"workers={args.workers} delay={args.delay_ms}ms demos={demos:2} "
                    f"c={at_once:3} runs={runs}: "
                    f"{(cpu_s(pids) - cpu) / runs * 1000:.2f} CPU ms a run, "
                    f"{runs / took:.0f} runs/s, "
                    f"memory {memory:.1f} -> {sum(map(memory_mb, pids)):.1f} MB",
                    flush=True,
                )
    print("memory by process, MB:", [round(memory_mb(pid)) for pid in family(sidecar)])


async def here(worker: Worker) -> None:
    """Returns once a worker is warm."""
    while True:
        try:
            await worker.GetInfo(pb.GetInfoRequest(), wait_for_ready=True)
            return
        except grpc.aio.AioRpcError:
            await asyncio.sleep(0.05)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--delay-ms", type=int, default=50)
    parser.add_argument(
        "--concurrency", type=lambda text: [int(part) for part in text.split(",")], default=[64]
    )
    parser.add_argument(
        "--demos", type=lambda text: [int(part) for part in text.split(",")], default=[0, 16]
    )
    args = parser.parse_args()
    with started(args) as (sidecar, targets):
        asyncio.run(measure(args, sidecar, targets))


if __name__ == "__main__":
    main()
