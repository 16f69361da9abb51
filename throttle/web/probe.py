"""Exit 0 when the page answers on this machine: `python -m throttle.web.probe [PORT]`, for health checks."""

from __future__ import annotations

import sys
import urllib.request

if __name__ == "__main__":
    with urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1] if len(sys.argv) > 1 else 8080}/", timeout=5) as answer:
        raise SystemExit(0 if answer.status == 200 else 1)
