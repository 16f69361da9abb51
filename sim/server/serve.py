"""The server: sockets, the loop of asynchronous time, and the order in which calls take effect."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections import deque
from concurrent.futures import Future
from time import monotonic, sleep
from typing import TYPE_CHECKING

import numba

from contracts import UserError
from sim.server import codec
from sim.server.config import ServeConfig
from sim.server.errors import WireError
from sim.server.rescue import Rescue
from sim.server.rpc import SCENE_CALLS, serve
from sim.server.simulation import Simulation, say
from sim.server.streams import Subscription
from sim.server.town import Town
from sim.server.towns import TownLibrary
from sim.world.config import WorldConfig

if TYPE_CHECKING:
    from sim.server.stage import Stage

PATIENCE = 1.0
"""Seconds that a tick is held back without an answer; clients' time-outs begin at some 2 s."""
TAKEN_AT_ONCE = 1 << 16
"""Bytes read from a client in one go."""
MAX_WAITING = 1000
"""Calls taken from one client while its tick is held back."""
MAX_UNSENT = 64 << 20
"""Bytes of replies that wait for a client that does not read; then it is dropped."""


class Connection(asyncio.BufferedProtocol):
    """One client's calls, served in the order in which they came."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._reader = codec.RequestReader()
        self._taken = memoryview(bytearray(TAKEN_AT_ONCE))  # asyncio would allocate 256 KiB for every few bytes
        self._waiting: deque[codec.Request] = deque()
        self._transport: asyncio.Transport | None = None
        self._held_since: float | None = None
        self._promised = False
        self.host = "?"
        self.ticked = -1
        self.asked = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=MAX_UNSENT)
        sock, peer = transport.get_extra_info("socket"), transport.get_extra_info("peername")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.host = str(peer[0]) if peer else "?"
        self._server.connections.add(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        return self._taken

    def buffer_updated(self, nbytes: int) -> None:
        """Serve what is complete."""
        try:
            for request in self._reader.feed(self._taken[:nbytes]):
                self._waiting.append(request)
        except WireError as error:
            self.work()
            say(f"dropping the client at {self.host}: it sent {error}")
            if self._transport is not None:
                self._transport.abort()
            return
        self.work()

    def work(self) -> None:
        """Serve calls until none is left or a tick has to wait."""
        server = self._server
        while self._waiting and self._transport is not None:
            request = self._waiting[0]
            if server.must_wait(request):
                self._hold(request)
                return
            self._waiting.popleft()
            answer = server.answer(self, request)
            promised, self._promised, self._held_since = self._promised, False, None
            if answer is not None and not promised:
                self._transport.write(answer)
            if self._transport.get_write_buffer_size() > MAX_UNSENT:
                say(f"dropping the client at {self.host}: it does not read its replies")
                self._transport.abort()
                return
        if self._transport is not None and not self._transport.is_reading() and not self._transport.is_closing():
            self._transport.resume_reading()

    def _hold(self, request: codec.Request) -> None:
        """Let a call wait. After PATIENCE a tick's frame is named: the client then waits for it, and not in vain."""
        now = monotonic()
        if self._held_since is None:
            self._held_since = now
        late = now - self._held_since > PATIENCE and request.method == "tick_cue"
        if late and not self._promised and request.call_id is not None:
            self._promised = True
            if self._transport is not None:
                self._transport.write(codec.reply(request.call_id, codec.success(self._server.sim.frame + 1)))
        if len(self._waiting) > MAX_WAITING and self._transport is not None and self._transport.is_reading():
            self._transport.pause_reading()
        self._server.hold(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """A client left; what it held becomes free."""
        self._transport = None
        self._waiting.clear()
        self._server.connections.discard(self)
        self._server.left(self)


class Server:
    """Everything between the sockets and the simulation."""

    def __init__(self, config: ServeConfig) -> None:
        self.config = config
        self._rpc_socket, self._stream_socket = _bind(config.host, config.port)
        self.port = int(self._rpc_socket.getsockname()[1])
        world = WorldConfig(
            worlds=1, vehicles=config.vehicles, walkers=config.walkers, statics=config.props, egos=0, density=0.0,
            walker_density=0.0, response=True,
        )  # fmt: skip
        stream_port = int(self._stream_socket.getsockname()[1])
        self.sim = Simulation(TownLibrary(config.maps), config.town, stream_port, config.rate, world)
        self.sim.recorder.folder = config.recordings
        if config.prepare:
            self.sim.on_load.append(begin_scene)
        self.connections: set[Connection] = set()
        self.rescue = Rescue(self.sim)
        self._held: list[Connection] = []
        self._timer: asyncio.TimerHandle | None = None
        self.sim.streams.settled_callback = self.release

    # -- calls --------------------------------------------------------------------------------------------------------

    def answer(self, caller: Connection, request: codec.Request) -> bytes | None:
        """The reply to a call; None for a notification."""
        sim = self.sim
        sim.caller = caller
        steps = request.method == "tick_cue" and sim.settings.synchronous
        if steps:
            self.rescue.ticked(sim.batches)
        try:
            result = serve(sim, request.method, request.arguments)
        except KeyError:
            text = f"rpclib: server could not find function '{request.method[:80]}'"
            text += f" with argument count {len(request.arguments) + 1}."
            return None if request.call_id is None else codec.rpc_error(request.call_id, text)
        finally:
            sim.caller = None
            if steps:
                self.rescue.stepped()
        return None if request.call_id is None else codec.reply(request.call_id, result)

    def left(self, caller: Connection) -> None:
        """Free what a lost connection held."""
        if caller in self._held:
            self._held.remove(caller)
            self.rescue.held = bool(self._held)
        self.sim.leave(caller, list(self.connections))

    def must_wait(self, request: codec.Request) -> bool:
        """A synchronous tick waits for the subscribers that are on their way, and for the scene that cameras need."""
        if request.method == "tick_cue":
            return self.sim.settings.synchronous and not self.sim.ready()
        return request.method in SCENE_CALLS and not begin_scene(self.sim.episode.town).done()

    def hold(self, connection: Connection) -> None:
        """Serve this connection on when the subscribers have arrived, or after their half second."""
        self.rescue.held = True
        if connection not in self._held:
            self._held.append(connection)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(0.05, self._retry)

    def _retry(self) -> None:
        self._timer = None
        if self._held:
            self.release()

    def release(self) -> None:
        """Go on with the connections that were held."""
        self.rescue.held = False
        held, self._held = self._held, []
        for connection in held:
            connection.work()

    # -- running ------------------------------------------------------------------------------------------------------

    async def run(self, ready: asyncio.Event | None = None) -> None:
        """Serve until cancelled."""
        loop = asyncio.get_running_loop()
        rpc = await loop.create_server(lambda: Connection(self), sock=self._rpc_socket, backlog=512)
        streams = await loop.create_server(
            lambda: Subscription(self.sim.streams), sock=self._stream_socket, backlog=512
        )
        watch = asyncio.create_task(self.rescue.watch())
        if ready is not None:
            ready.set()
        try:
            await self._clock()
        finally:
            watch.cancel()
            self.sim.recorder.stop()
            for server in (rpc, streams):
                server.close()

    async def _clock(self) -> None:
        """Asynchronous time: a tick each 1 / rate seconds (or each fixed step) while no client holds the clock."""
        due = monotonic()
        while True:
            await asyncio.sleep(max(0.0, due - monotonic()))
            settings = self.sim.settings
            period = settings.fixed_delta if settings.fixed_delta is not None else 1.0 / self.config.rate
            due = max(due + period, monotonic() - period)
            if not settings.synchronous:
                self.sim.tick()


def _bind(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """Listening sockets on two ports that follow each other; raises UserError."""
    for _ in range(1 if port else 50):
        first = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        second = socket.socket(first.family)
        try:
            for sock in (first, second):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            first.bind((host, port))
            second.bind((host, first.getsockname()[1] + 1))
            first.listen(512)
            second.listen(512)
        except OSError as error:
            first.close()
            second.close()
            if port:
                raise UserError(f"cannot listen on {host}:{port} and {port + 1}: {error.strerror}") from error
        except OverflowError:
            continue
        else:
            return first, second
    raise UserError(f"cannot find two free ports on {host}")


def begin_scene(town: Town) -> Future[Stage]:
    """Let a thread build the town's scene and load (or compile) the renderer: no first camera waits for that long."""
    from sim.server.stage import stage_of  # takes a second to load

    return stage_of(town)


def prepare(town: Town) -> None:
    """`begin_scene`, and wait for its end."""
    began, told = monotonic(), 0.0
    scene = begin_scene(town)
    while not scene.done():
        sleep(0.05)
        if monotonic() - began > told + 15.0:
            told = monotonic() - began
            say(
                f"the scene of {town.name} and its renderer: {told:.0f} s; compiled kernels are kept for the next start"
            )
    if (error := scene.exception()) is not None:
        say(f"no cameras or lidars in {town.name}: {error}")


def run(config: ServeConfig) -> None:
    """Serve until Ctrl-C or SIGTERM. Prints one line when clients may come."""
    # one world is one thread's work: a second would only spin beside the client; pictures take all (sim.server.cameras)
    numba.set_num_threads(1)
    server = Server(config)

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        say("getting ready; the first start after an installation compiles for some minutes")
        server.sim.tick()
        if config.prepare:
            prepare(server.sim.episode.town)
        # from here on: a handler would wait for the compiler
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        print(f"throttle sim: serving {server.sim.episode.town.name} on {config.host}:{server.port}", flush=True)
        try:
            await server.run()
        except asyncio.CancelledError:
            say("stopped")

    asyncio.run(main())
