"""Signals while a session runs: the first asks, the second ends."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import time
from windlass.cli.interrupt import stopping_on_signals
from windlass.phases import Stop
stop = Stop()
with stopping_on_signals(stop, is_quiet=False):
    print("ready", flush=True)
    stop.event.wait(60)
    try:
        stop.check()
    except Exception as reason:
        print(type(reason).__name__, reason.number, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_to_stop_and_the_second_kills(number):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.readline() == f"Signalled {int(number)}\n"
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == -number
    assert said == "\nstopping; once more ends it at once\n"
