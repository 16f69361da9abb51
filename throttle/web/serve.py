"""The web server of the page: a handful of addresses, nothing from elsewhere, nothing to elsewhere.

Whoever reaches the port can steer the world, so it listens on 127.0.0.1 unless told otherwise, answers only requests
that name an address (or localhost) as their host, so that no web site can rebind its name to it, and takes orders only
from its own page.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from contracts import UserError
from throttle.web.config import WebConfig
from throttle.web.live import LiveWorld
from throttle.web.stages import find_file, progress

PAGE = Path(__file__).parent / "page"
FILES = {
    "/": ("index.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
}
WAIT = 2.0
"""Seconds that a request for news waits for them."""
ORDER = 10.0
"""Seconds that an order may take."""
LARGEST = 4096
"""Bytes of an order."""
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'",
}
SANDBOX = "sandbox allow-scripts; default-src 'self' 'unsafe-inline' data: blob:; frame-ancestors 'none'"
"""For reports: their scripts run, but as a stranger that cannot give orders."""
log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def is_safe_host(name: str | None) -> bool:
    """Whether a Host header names this machine by an address or as localhost, and not by a name from a name server."""
    try:
        host = urlsplit(f"//{name}").hostname or ""
        if host == "localhost":
            return True
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def make_app(config: WebConfig, world: LiveWorld) -> web.Application:
    """The application; the world is started and stopped by the caller."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_safe_host(request.headers.get("Host")):
            return _error(403, "use an address or localhost")
        if request.method == "POST":
            # a page of another origin can send a form, but neither this content type nor this origin
            if request.headers.get("Origin") != f"http://{request.headers['Host']}":
                return _error(403, "orders come from this server's own page")
            if request.content_type != "application/json":
                return _error(415, "orders are JSON")
        try:
            response = await handler(request)
        except UserError as error:
            response = _error(400, str(error))
        except web.HTTPException as error:
            response = _error(error.status, error.reason)
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception:
            log.exception("%s %s", request.method, request.path)
            response = _error(500, "the server failed at this request; its log says why")
        if not response.prepared:
            for key, value in HEADERS.items():
                response.headers.setdefault(key, value)
        return response

    async def page(request: web.Request) -> web.StreamResponse:
        name, kind = FILES[request.path]
        return web.Response(body=(PAGE / name).read_bytes(), content_type=kind, charset="utf-8")

    async def state(request: web.Request) -> web.StreamResponse:
        after = _number(request)
        await _until(lambda: world.number > after)
        return web.Response(body=world.state, content_type="application/json")

    async def town(request: web.Request) -> web.StreamResponse:
        return web.Response(body=world.town, content_type="application/json")

    async def picture(request: web.Request) -> web.StreamResponse:
        after = _number(request)

        def fresh() -> bool:
            latest = world.picture
            return latest is not None and latest.frame != after

        await _until(fresh)
        latest = world.picture
        if latest is None or latest.frame == after:
            return web.Response(status=204)
        return web.Response(body=latest.jpeg, content_type="image/jpeg", headers={"X-Frame": str(latest.frame)})

    async def order(request: web.Request) -> web.StreamResponse:
        try:
            words = json.loads(await request.text())
        except (ValueError, RecursionError):
            raise UserError("an order is a JSON object") from None
        if not isinstance(words, dict) or not isinstance(words.get("do"), str):
            raise UserError('an order is {"do": ..., "value": ...}')
        try:
            await asyncio.wait_for(asyncio.wrap_future(world.order(words["do"], words.get("value"))), ORDER)
        except asyncio.TimeoutError:
            return _error(503, "the world is busy; try again")
        return web.json_response({"done": True})

    async def stages(request: web.Request) -> web.StreamResponse:
        if config.runs is None:
            return web.json_response(None)
        return web.json_response(await asyncio.to_thread(progress, config.runs, config.datasets))

    async def file(request: web.Request) -> web.StreamResponse:
        if config.runs is None:
            raise web.HTTPNotFound
        try:
            path, kind = find_file(config.runs, request.match_info["name"])
        except UserError as error:
            return _error(404, str(error))
        return web.FileResponse(path, headers={"Content-Type": kind, "Content-Security-Policy": SANDBOX})

    app = web.Application(middlewares=[guard], client_max_size=LARGEST)
    for path in FILES:
        app.router.add_get(path, page)
    app.router.add_get("/api/state", state)
    app.router.add_get("/api/town", town)
    app.router.add_get("/api/picture", picture)
    app.router.add_get("/api/stages", stages)
    app.router.add_post("/api/order", order)
    app.router.add_get("/runs/{name:.+}", file)
    return app


def _error(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)


def _number(request: web.Request) -> int:
    """The query's `after`."""
    text = request.query.get("after", "-1")
    try:
        if len(text) <= 20:
            return int(text)
    except ValueError:
        pass
    raise UserError("after: a number")


async def _until(ready: Callable[[], bool]) -> None:
    end = asyncio.get_running_loop().time() + WAIT
    while not ready() and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(0.02)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; raises UserError where the port is taken or the address is not this machine's."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UserError(f"cannot listen on {host}: {error.strerror or error}") from error
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(128)
    except OSError as error:
        found.close()
        raise UserError(f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port") from error
    return found


def run(config: WebConfig) -> None:
    """Serve until Ctrl-C or SIGTERM; prints one line with the address."""
    sock = bind(config.host, config.port)
    # what is no HTTP is answered with a 400 and is not worth a traceback
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    world = LiveWorld(config.live)

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        runner = web.AppRunner(make_app(config, world), access_log=None, handle_signals=False)
        await runner.setup()
        await web.SockSite(runner, sock, shutdown_timeout=1.0).start()
        shown = "127.0.0.1" if config.host in ("0.0.0.0", "::") else config.host
        print(f"open http://{shown}:{sock.getsockname()[1]}/ in a browser; Ctrl-C ends it", flush=True)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
        finally:
            await runner.cleanup()

    world.start()
    try:
        asyncio.run(main())
    finally:
        world.stop()
