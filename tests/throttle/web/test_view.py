"""`throttle sim view` as a user meets it: real servers, a real browser, and requests that no page would send."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import carla
import pytest

from tests.throttle.web.chromium import Browser, find
from throttle.runs import Run
from throttle.web.config import WebConfig
from throttle.web.own import OwnServer

CLICK = """(() => {
  const row = state.vehicles.find((r) => r[0] === WANTED), box = $('map').getBoundingClientRect();
  map.free = true;
  [map.x, map.y, map.scale] = [row[1], row[2], 8];
  const at = {pointerId: 1, clientX: box.left + box.width / 2, clientY: box.top + box.height / 2};
  map.drag = {x: at.clientX, y: at.clientY, moved: false, from: [map.x, map.y]};
  $('map').dispatchEvent(new PointerEvent('pointerup', at));
})()"""
SMALL = ["--live.width", "320", "--live.height", "180", "--live.vehicles", "10", "--live.walkers", "4"]


class View:
    """`throttle sim view` on a free port."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process, self.port = process, port

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON (bytes where it is none)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            data = answer.read()
            try:
                return answer.status, json.loads(data)
            except ValueError:
                return answer.status, data
        finally:
            connection.close()

    def order(self, what: str, value: Any = None) -> tuple[int, Any]:
        """As the page does it."""
        return self.ask(
            "/api/order", "POST", json.dumps({"do": what, "value": value}).encode(),
            Origin=f"http://127.0.0.1:{self.port}", Content_Type="application/json",
        )  # fmt: skip

    def until(self, ready: Callable[[dict[str, Any]], bool], seconds: float = 300.0) -> dict[str, Any]:
        """The first state that is as wanted."""
        end = time.monotonic() + seconds
        while True:
            state: dict[str, Any] = self.ask("/api/state")[1]
            if ready(state):
                return state
            assert time.monotonic() < end, str(state)[:500]
            time.sleep(0.05)


@contextmanager
def view(*options: str) -> Iterator[View]:
    command = [sys.executable, "-m", "throttle.cli", "sim", "view", "--port", "0", *SMALL, *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.match(r"open http://127\.0\.0\.1:(\d+)/ in a browser", line)
        assert found, line
        yield View(process, int(found[1]))
    finally:
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[1]
        assert process.returncode == 0, said
        assert "Traceback" not in said, said


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[View]:
    """A world of its own, beside a folder with a run and a report."""
    runs = tmp_path_factory.mktemp("runs")
    run = Run.create(runs, "tried", "control", WebConfig(), total=10)
    run.note(10, 10, "all of it")
    (run.path / "report.html").write_text(
        "<p>what came of it</p><script>fetch('/api/order', {method: 'POST'})</script>"
    )
    run.finish("finished")
    (runs / "alone").mkdir()  # a demonstration whose stages were done one by one
    (runs / "alone" / "report.html").write_text("<p>all of it</p>")
    (runs / "secret.key").write_text("not to be seen")
    (runs / ".hidden.html").write_text("not to be seen")
    with view("--runs", str(runs)) as started:
        yield started


@pytest.mark.external
@pytest.mark.skipif(find() is None, reason="needs Chromium")
def test_the_page_shows_and_steers_the_world(own: View, tmp_path: Path) -> None:
    with Browser() as browser:
        browser.open(f"http://127.0.0.1:{own.port}/")
        browser.until("typeof state === 'object' && state && state.status === 'live'", 300)
        browser.until("!$('picture').hidden && $('picture').naturalWidth === 320", 300)
        browser.until("$('followed').textContent.includes('km/h')")
        # a click on another vehicle on the map follows it
        browser.value("(fit(), draw())")
        wanted = browser.value("state.vehicles.find((row) => row[0] !== state.followed)[0]")
        browser.value(CLICK.replace("WANTED", str(wanted)))
        browser.until(f"state.followed === {wanted}")
        browser.value("($('weather').value = 'WetSunset', $('weather').dispatchEvent(new Event('change')))")
        browser.until("state.weather === 'WetSunset'")
        browser.value("[...$('views').children].find((b) => b.textContent === 'driver').click()")
        browser.until("state.view === 'driver' && !$('picture').hidden")
        browser.value("$('pause').click()")
        browser.until("state.paused && $('pause').textContent === 'Resume'")
        frame = browser.value("state.frame")
        browser.value("$('step').click()")
        browser.until(f"state.frame === {frame + 1}")
        time.sleep(0.5)
        assert browser.value("state.frame") == frame + 1
        browser.value("$('pause').click()")
        browser.until(f"!state.paused && state.frame > {frame + 5}")
        browser.until("$('runs').textContent.includes('tried') && $('runs').textContent.includes('finished')")
        browser.picture(tmp_path / "page.png")
        assert (tmp_path / "page.png").stat().st_size > 20_000
        link = browser.value("document.querySelector('#runs a[href*=tried]').href")
        assert not browser.errors
        browser.open(link)
        browser.until("document.body && document.body.textContent.includes('what came of it')")


@pytest.mark.parametrize(
    ("path", "options", "status"),
    [
        ("/", {"Host": "evil.example"}, 403),
        ("/api/state", {"Host": "127.0.0.1.evil.example:80"}, 403),
        ("/api/order", {"method": "POST", "body": b'{"do":"pause"}', "Content_Type": "application/json"}, 403),
        ("/api/order", {"method": "POST", "body": b"{}", "Origin": "http://evil.example"}, 403),
        ("/api/order", {"method": "DELETE"}, 405),
        ("/api/state?after=" + "9" * 5000, {}, 400),
        ("/api/state?after=x", {}, 400),
        ("/runs/secret.key", {}, 404),
        ("/runs/.hidden.html", {}, 404),
        ("/runs/../../etc/passwd", {}, 404),
        ("/runs/%2e%2e/%2e%2e/etc/hosts.html", {}, 404),
        ("/runs/" + "a" * 4000 + ".html", {}, 404),
        ("/runs/a%00b.html", {}, 404),
        ("/nothing", {}, 404),
    ],
)
def test_a_request_from_elsewhere_is_refused(own: View, path: str, options: dict[str, Any], status: int) -> None:
    assert own.ask(path, **options)[0] == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b"[]", 400), (b"{", 400), (b"\xff\xfe", 400), (b'{"do": 1}', 400), (b"[" * 3000, 400),
        (b'{"do": "explode"}', 400), (b'{"do": "follow", "value": 99999999}', 400),
        (b'{"do": "follow", "value": {"a": 1}}', 400), (b'{"do": "view", "value": []}', 400),
        (b'{"do": "weather", "value": "__class__"}', 400), (b'{"do": "pause", "value": "yes"}', 400),
        (b'{"do": "step"}', 400), (b"x" * 100_000, 413),
    ],
)  # fmt: skip
def test_a_bad_order_is_refused(own: View, body: bytes, status: int) -> None:
    own.until(lambda state: state["status"] == "live")
    origin = f"http://127.0.0.1:{own.port}"
    got = own.ask("/api/order", "POST", body, Origin=origin, Content_Type="application/json")
    assert got[0] == status, got
    assert "error" in got[1]


def test_runs_and_reports_are_listed(own: View) -> None:
    rows = own.ask("/api/stages")[1]["runs"]
    assert {(row["kind"], row["state"]) for row in rows} == {("control", "finished"), ("report", "finished")}
    for row in rows:
        assert own.ask(f"/runs/{row['pages'][0]}")[0] == 200


def test_garbage_does_not_end_it(own: View) -> None:
    for data in (b"\x00" * 2000, b"GET / HTTP/9.9\r\n\r\n", b"POST /api/order HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
                 b"GET /" + b"a" * 70_000, os.urandom(5000)):  # fmt: skip
        with socket.create_connection(("127.0.0.1", own.port), 10) as sock:
            sock.sendall(data)
    assert own.ask("/api/state")[0] == 200


def test_a_server_of_another_is_watched_and_left_as_it_was(tmp_path: Path) -> None:
    with OwnServer("Marlin") as server:
        client = carla.Client("127.0.0.1", server.port)
        client.set_timeout(60.0)
        world = client.get_world()
        before = world.get_settings()
        with view("--live.server", f"127.0.0.1:{server.port}") as page:
            page.until(lambda state: state["status"] == "live" and state["town"] == "Marlin")
            assert page.ask("/api/town")[1]["name"] == "Marlin"
            assert page.order("pause", True)[0] == 200
            assert world.get_settings().synchronous_mode
            assert page.order("pause", False)[0] == 200
            assert world.get_settings() == before
            # a client that holds the clock keeps it
            held = world.get_settings()
            held.synchronous_mode, held.fixed_delta_seconds = True, 0.05
            world.apply_settings(held)
            page.until(lambda state: state.get("can_pause") is False)
            status, answer = page.order("pause", True)
            assert status == 400
            assert "another client" in answer["error"]
            world.apply_settings(before)
            page.until(lambda state: state.get("can_pause"))
            # the town changes under it
            client.load_world("Alder")
            page.until(lambda state: state.get("town") == "Alder")
            # a hero is followed as long as it is there; then pictures are of the town
            world = client.get_world()
            kind = world.get_blueprint_library().find("vehicle.tesla.model3")
            kind.set_attribute("role_name", "hero")
            hero = world.spawn_actor(kind, world.get_map().get_spawn_points()[0])
            page.until(lambda state: state.get("followed") == hero.id)
            hero.destroy()
            page.until(lambda state: state.get("followed") == 0 and not state["vehicles"], 30.0)
            assert page.order("pause", True)[0] == 200
        assert not client.get_world().get_settings().synchronous_mode
    with view("--live.server", f"127.0.0.1:{server.port}") as page:
        assert page.until(lambda state: state["status"] == "waiting")["message"].startswith("no CARLA server at")


def test_its_own_simulator_is_started_again(own: View) -> None:
    own.until(lambda state: state["status"] == "live")
    tasks = Path(f"/proc/{own.process.pid}/task").iterdir()
    children = [word for task in tasks for word in (task / "children").read_text().split()]
    servers = {int(c) for c in children if b"serve" in Path(f"/proc/{c}/cmdline").read_bytes()}
    assert len(servers) == 1
    os.kill(servers.pop(), signal.SIGKILL)
    own.until(lambda state: state["status"] != "live")
    own.until(lambda state: state["status"] == "live" and len(state["vehicles"]) == 10)


def test_a_port_that_is_taken_is_named(own: View) -> None:
    command = [sys.executable, "-m", "throttle.cli", "sim", "view", "--port", str(own.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.strip() == (
        f"throttle: cannot listen on 127.0.0.1:{own.port}: Address already in use; choose another with --port"
    )
