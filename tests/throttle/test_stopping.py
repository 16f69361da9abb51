"""What ends a run at a place where its state is whole, and what ends it at once."""

from __future__ import annotations

import os
import signal

import pytest

from throttle.stopping import StopSignal


def test_only_a_second_ctrl_c_ends_a_run_at_once() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopSignal() as stop:
        assert not stop()
        for _ in range(2):  # as timeout(1) does
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before
    with StopSignal() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop()


def test_where_the_place_is_far_the_first_says_so_once(capfd: pytest.CaptureFixture[str]) -> None:
    with StopSignal(say="stopping soon"):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
    assert capfd.readouterr().err.split("\n") == ["", "stopping soon", ""]
