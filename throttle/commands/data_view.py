"""Look at a dataset: contact sheets with boxes and masks, an episode as a video, or as a recording for rerun.

throttle data view datasets/small --out sheet.png
throttle data view datasets/small --episode 3 --out episode.mp4        # or episode.rrd (extra: rerun)
"""

from __future__ import annotations

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from contracts import UserError


def add_arguments(parser: ArgumentParser) -> None:
    """The dataset, what of it, and where to."""
    parser.add_argument("path", type=str, help="folder of the dataset")
    parser.add_argument(
        "--out", type=str, default="", help="file to write: .png or .jpg, .mp4, .rrd (default: by what)"
    )
    parser.add_argument("--split", type=str, default="train", help="split of a contact sheet")
    parser.add_argument("--count", type=int, default=24, help="pictures on a contact sheet")
    parser.add_argument("--columns", type=int, default=3, help="pictures beside one another")
    parser.add_argument("--episode", type=int, default=-1, help="show this episode instead of a contact sheet")


def run(arguments: Namespace) -> int:
    """Write the file and say where; exit code 0."""
    import cv2

    from sim.recorder import view
    from sim.recorder.reader import Dataset

    data = Dataset(arguments.path)
    episode = arguments.episode
    out = Path(arguments.out or ("sheet.png" if episode < 0 else f"episode_{episode:06d}.mp4"))
    kind = out.suffix.lower()
    wanted = (".png", ".jpg") if episode < 0 else (".mp4", ".rrd")
    if kind not in wanted:
        raise UserError(f"--out: {'a contact sheet' if episode < 0 else 'an episode'} is {' or '.join(wanted)}")
    if not 1 <= arguments.count <= 1000 or not 1 <= arguments.columns <= 20:
        raise UserError("--count is 1..1000, --columns 1..20")
    if episode >= len(data.episodes):
        raise UserError(f"--episode: {data.root} has the episodes 0 to {len(data.episodes) - 1}")
    if not out.parent.is_dir():
        raise UserError(f"--out: there is no folder {out.parent}")
    if episode < 0:
        sheet = view.contact_sheet(data, arguments.split, arguments.count, arguments.columns)
        if not cv2.imwrite(str(out), sheet[..., ::-1]):
            raise UserError(f"--out: {out} cannot be written")
    elif kind == ".mp4":
        view.video(data, episode, out)
    else:
        view.rerun(data, episode, out)
    print(out)
    return 0
