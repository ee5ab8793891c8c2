"""What counts as silence of a watched process."""

import pytest

from dspy_sidecar import heartbeat
from dspy_sidecar.heartbeat import MAX_SILENCE_S, Watch


class Clock:
    """Stands for the module `time`."""

    def __init__(self) -> None:
        self.now = self.wall = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.wall

    def run(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(heartbeat, "time", clock)
    return clock


def looks(watch: Watch, clock: Clock, seconds: int) -> list[bool]:
    """The watcher's answer after each second."""
    answers = []
    for _ in range(seconds):
        clock.run(1)
        answers.append(watch.is_silent())
    return answers


def test_a_process_is_silent_after_10_s_without_a_heartbeat(clock):
    watch = Watch()
    assert looks(watch, clock, 11) == [False] * 10 + [True]
    watch.beat()
    assert looks(watch, clock, 10) == [False] * 10


def test_nobody_is_silent_in_the_first_10_s_after_the_watcher_was_stopped(clock):
    watch = Watch()
    looks(watch, clock, 9)
    clock.run(3_600)
    assert looks(watch, clock, 11) == [False] * 11
    assert looks(watch, clock, 1) == [True]


def test_nobody_is_silent_in_the_first_10_s_after_the_machine_slept(clock):
    watch = Watch()
    looks(watch, clock, 9)
    clock.wall += 3_600
    assert looks(watch, clock, int(MAX_SILENCE_S)) == [False] * 10
