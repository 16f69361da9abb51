"""Wakes a Traffic Manager that lost its own signal.

CARLA's client signals its Traffic Manager's thread without holding the mutex. Now and then (once in some 10,000 ticks)
the thread is just about to wait, the signal is lost, and the client's two threads wait for each other for ever, within
its `tick()` and after the server's step. Sending set_synchronous_mode(false), set_synchronous_mode(true) to the
manager's own port signals the same step again.

A client that thinks for long between two ticks looks the same from here, and a poke would give its manager a step too
many. `sim.client` therefore says when it goes into `tick()` and when it is out again (see sim.server.rpc.ticks): then
only what comes late in between is a stall.
"""

from __future__ import annotations

import asyncio
from time import monotonic

import msgpack

from sim.server.simulation import Manager, Simulation, say

STALL_SECONDS = 1.0
"""Without a sign of the step that a Traffic Manager owes: it costs little, as a signal is seldom lost."""
AGAIN_SECONDS = 5.0
"""After this, what did not begin its step for one poke is poked again: a poke, too, can be lost."""
UNANNOUNCED = 2
"""Ticks without an announcement after which it is another client that ticks, one that announces nothing."""
STREAK = 2
"""Ticks in a row that had their batch before a missing one means a stall."""
POKE = b"".join(bytes(msgpack.packb([0, n, "set_synchronous_mode", [n == 1]])) for n in (0, 1))


class Rescue:
    """Watches the ticks of a synchronous simulation and pokes its managers when one stalls."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        self._streak = 0
        self._last_tick = 0.0
        self._last_poke: float | None = None
        self.count = 0
        """Rescues so far."""
        self.held = False
        """A tick is being held back on purpose: no stall."""

    def ticked(self, batches: int) -> None:
        """A tick was asked for, `batches` calls of apply_batch after the one before."""
        self._streak = self._streak + 1 if batches else 0

    def stepped(self) -> None:
        """The tick is done: from now on its batch may be awaited."""
        self._last_tick = monotonic()
        self._last_poke = None

    def stalled(self) -> bool:
        """A Traffic Manager owes the batch of the last tick, and has not even begun its step."""
        sim = self._sim
        if not (sim.settings.synchronous and sim.managers and self._streak >= STREAK):
            return False
        if self.held or sim.batches or sim.looks:
            return False
        now = monotonic()
        if self._last_poke is not None and now - self._last_poke < AGAIN_SECONDS:
            return False
        since = self._last_tick
        if sim.announcers and sim.frame - sim.announced_frame <= UNANNOUNCED:
            inside = [began for began in sim.announcers.values() if began is not None]
            if not inside:
                return False
            since = max(since, *inside)
        return now - since > STALL_SECONDS

    async def watch(self) -> None:
        """Look several times a second, for ever."""
        while True:
            await asyncio.sleep(STALL_SECONDS / 10)
            if self.stalled():
                self.count += 1
                self._last_poke = monotonic()
                say(f"frame {self._sim.frame}: waking the Traffic Manager, which lost its signal (rescue {self.count})")
                await asyncio.gather(*(self._poke(manager) for manager in list(self._sim.managers.values())))

    async def _poke(self, manager: Manager) -> None:
        """The manager announces an address of its own choosing; only the peer that announced it is called."""
        host = manager.owner.host if manager.owner is not None else "127.0.0.1"
        try:
            reader, writer = await asyncio.wait_for(asyncio.open_connection(host, manager.port), 0.5)
        except (OSError, asyncio.TimeoutError):
            say(f"the Traffic Manager at {host}:{manager.port} cannot be reached")
            return
        try:
            writer.write(POKE)
            await asyncio.wait_for(reader.read(256), 0.5)
        except (OSError, asyncio.TimeoutError):
            pass
        finally:
            writer.close()
