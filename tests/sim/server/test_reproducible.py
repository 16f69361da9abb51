"""The same script and seed give the same snapshots to the last bit: behind other worlds, and across lost wake-ups."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.sim.server.conftest import QUICK, ServerProcess, run_client

LOSE = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Once a tick the client's main thread wakes its Traffic Manager's, which waits on a std::condition_variable. After
   each LOSE ticks the next wake-up of a thread that waits has no effect, as where it is just about to wait. */
static void *volatile waiting;

static int is_main(void) { return syscall(SYS_gettid) == getpid(); }

void _ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE(void *self, void **lock) {
    if (!is_main()) waiting = self;
    pthread_cond_wait((pthread_cond_t *)self, (pthread_mutex_t *)lock[0]);
    if (!is_main()) waiting = NULL;
}

void _ZNSt18condition_variable10notify_oneEv(void *self) {
    static long since;
    if (is_main() && ++since > atol(getenv("LOSE")) && waiting == self) {
        since = 0;
        return;
    }
    pthread_cond_signal((pthread_cond_t *)self);
}
"""
"""A library that makes the client's lost wake-up happen: std::condition_variable::wait and notify_one, as symbols."""


def traffic(port: int, ticks: int, announced: int = 0, **variables: str) -> list[str]:
    """Digests of the snapshots of 50 Traffic Manager vehicles, at every thousandth tick and at the last."""
    found: list[str] = run_client(port, "traffic", "Gridley", 50, ticks, announced, timeout=390, **variables)["marks"]
    return found


@pytest.fixture
def forgetful(tmp_path: Path) -> dict[str, str]:
    """The environment of a client that loses a wake-up every 120 ticks."""
    if shutil.which("cc") is None:
        pytest.skip("a C compiler makes the client lose its wake-up")
    source, library = tmp_path / "lose.c", tmp_path / "lose.so"
    source.write_text(LOSE)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-lpthread"], check=True)
    return {"LD_PRELOAD": str(library), "LOSE": "120"}


def test_a_world_is_the_same_behind_others(server: ServerProcess) -> None:
    """Pedestrians too: CARLA's client has them look at the lights in the first world of a process alone."""
    marks = run_client(server.port, "crossings", "Gridley", 3)["marks"]
    assert len(set(marks)) == 1


def rescues(server: ServerProcess) -> int:
    """So far."""
    return server.log.read_text().count("waking the Traffic Manager")


def test_a_rescue_changes_nothing(server: ServerProcess, forgetful: dict[str, str]) -> None:
    usual = traffic(server.port, 400)
    for announced in (0, 1):
        before = rescues(server)
        assert traffic(server.port, 400, announced, **forgetful) == usual
        assert rescues(server) - before >= 2, "wake-ups were lost, and every one was made good"


@pytest.mark.slow
def test_a_script_is_reproducible_bit_for_bit(tmp_path: Path, forgetful: dict[str, str]) -> None:
    """1,000 ticks in two servers, twice in each, then once across rescues; then 8,000 in one episode of each."""
    short, long = [], []
    for run in range(2):
        folder = tmp_path / str(run)
        folder.mkdir()
        process = ServerProcess(folder, *QUICK)
        short += [traffic(process.port, 1000) for _ in range(2)]
        before = rescues(process)
        short.append(traffic(process.port, 1000, run, **forgetful))
        assert rescues(process) - before >= 4
        long.append(traffic(process.port, 8000))
        process.stop()
    assert all(marks == short[0] for marks in short)
    assert long[0] == long[1]
    assert long[0][:1] == short[0]
    assert len(set(long[0])) == 8
