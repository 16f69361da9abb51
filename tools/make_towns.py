"""Write the towns that ship with the project: `python -m tools.make_towns [--pictures docs/images] [NAME ...]`."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from tools.towns.xodr import write

ROOT = Path(__file__).parent.parent
NAMES = ("Alder", "Gridley", "Marlin")


def text(name: str) -> str:
    """The OpenDRIVE text of a town."""
    return write(importlib.import_module(f"tools.towns.{name.lower()}").build())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(NAMES)}; all if none is given")
    parser.add_argument("--out", type=Path, default=ROOT / "sim" / "roads" / "towns", help="folder for the .xodr files")
    parser.add_argument("--pictures", type=Path, help="also draw each town into this folder")
    args = parser.parse_args()
    unknown = set(args.names) - set(NAMES)
    if unknown:
        parser.error(f"no such town: {', '.join(sorted(unknown))}")
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.names or NAMES:
        path = args.out / f"{name}.xodr"
        path.write_text(text(name), encoding="utf-8")
        print(f"{path}  {path.stat().st_size / 1000:.0f} kB")
        if args.pictures:
            from tools.towns.draw import draw

            args.pictures.mkdir(parents=True, exist_ok=True)
            draw(path, args.pictures / f"town-{name.lower()}.png")


if __name__ == "__main__":
    main()
