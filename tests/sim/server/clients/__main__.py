"""What the real CARLA client does to the server: `python -m tests.sim.server.clients SCENARIO PORT [ARGUMENT...]`.

Each scenario prints one JSON object of what it saw; the tests assert on that. A crash of the client is an exit code.
"""

from __future__ import annotations

import json
import sys

from tests.sim.server.clients import (  # noqa: F401 (each enters its scenarios)
    attachments,
    commands,
    lights,
    measuring,
    rendered,
    traffic,
    vehicles,
    walkers,
    worlds,
)
from tests.sim.server.clients.common import SCENARIOS

name, server_port, *rest = sys.argv[1:]
arguments = [int(word) if word.lstrip("-").isdigit() else word for word in rest]
print(json.dumps(SCENARIOS[name](int(server_port), *arguments)), flush=True)
