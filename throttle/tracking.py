"""Where a run's numbers go: CSV files in its folder, Weights & Biases (offline unless a key is set), TensorBoard.

The CSV files are the record; the other two mirror it and may fail without harm to the run.
"""

from __future__ import annotations

import csv
import logging
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

from contracts import UserError
from contracts.runs import Cell
from throttle.runs import Run

ONLINE_TIMEOUT = 30.0  # seconds that a service may take to answer before the run goes on without it
log = logging.getLogger(__name__)


@dataclass
class TrackingConfig:
    """Who hears of a run."""

    wandb: Literal["auto", "offline", "online", "disabled"] = "auto"
    """auto: online where WANDB_API_KEY is set, else offline; WANDB_MODE overrides auto."""
    project: str = "throttle"
    """W&B's project."""
    group: str = ""
    """The experiment that the run belongs to; empty: the run's name."""
    tensorboard: bool = True
    """Write TensorBoard's files too."""

    def mode(self) -> str:
        """offline, online or disabled."""
        if self.wandb != "auto":
            return self.wandb
        wanted = os.environ.get("WANDB_MODE", "")
        if wanted in ("offline", "online", "disabled"):
            return wanted
        return "online" if os.environ.get("WANDB_API_KEY") else "offline"


class Tracker:
    """The numbers of one run; implements `contracts.runs.Tracking`."""

    def __init__(self, run: Run, config: TrackingConfig, job_type: str, resolved: Any) -> None:
        """Open the files of `run`.

        job_type: the subsystem. resolved: the run's whole configuration, a dataclass.
        """
        self.run = run
        self._files: dict[str, tuple[TextIO, Any, list[str]]] = {}
        self._writer: Any = None
        self._wandb: Any = None
        self._config = config
        if config.mode() != "disabled":
            self._start_wandb(job_type, asdict(resolved))

    # -- numbers --------------------------------------------------------------------------------------------------

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Write numbers of one moment to metrics.csv (step, name, value) and to the mirrors."""
        self.rows("metrics", [{"step": step, "name": name, "value": value} for name, value in values.items()])
        if self._config.tensorboard:
            with _harmless("TensorBoard"):
                writer = self._tensorboard(step)
                for name, value in values.items():
                    writer.add_scalar(name, value, step)
        self._mirror({"step": step, **values})

    def rows(self, name: str, rows: Sequence[Mapping[str, Cell]]) -> None:
        """Append to the run's file `name`.csv; every row has the columns of the file's first."""
        if not rows:
            return
        if name not in self._files:
            self._files[name] = self._open(name, list(rows[0]))
        file, writer, columns = self._files[name]
        for row in rows:
            if list(row) != columns:
                raise ValueError(f"{name}.csv has the columns {columns}, not {list(row)}")
            writer.writerow(row)
        file.flush()

    def rewind(self, step: int) -> None:
        """Drop the rows after `step` (and a last line cut short by a kill) from every CSV file of the run."""
        for file, _, _ in self._files.values():
            file.close()
        self._files.clear()
        for path in self.run.path.glob("*.csv"):
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            header = next(csv.reader(lines[:1]), [])
            name = "timestep" if "timestep" in header else "step"  # telemetry's own "step" counts updates
            if name not in header:
                continue
            column, whole = header.index(name), [line for line in lines[1:] if line.endswith("\n")]
            kept = [line for line, row in zip(whole, csv.reader(whole)) if int(row[column]) <= step]
            temporary = path.with_suffix(".tmp")
            temporary.write_text("".join(lines[:1] + kept), encoding="utf-8")
            os.replace(temporary, path)
        self._writer = None

    # -- what is kept at the end ----------------------------------------------------------------------------------

    def table(self, name: str, rows: Sequence[Mapping[str, Cell]]) -> None:
        """Show a table in the mirrors; a row may lack columns that another has."""
        if rows and self._wandb is not None:
            with _harmless("W&B"):
                import wandb

                columns = list(dict.fromkeys(column for row in rows for column in row))
                data = [[row.get(column) for column in columns] for row in rows]
                self._mirror({name: wandb.Table(columns=list(columns), data=data)})

    def image(self, name: str, path: Path) -> None:
        """Show a picture in the mirrors."""
        if self._wandb is not None:
            with _harmless("W&B"):
                import wandb

                self._mirror({name: wandb.Image(str(path))})

    def video(self, name: str, path: Path) -> None:
        """Show an mp4 in the mirrors."""
        if self._wandb is not None:
            with _harmless("W&B"):
                import wandb

                self._mirror({name: wandb.Video(str(path), format="mp4")})

    def artifact(self, name: str, path: Path, kind: str, reference: bool = False) -> None:
        """Keep a file or a folder (a checkpoint, a dataset) as an artifact of the run.

        reference: keep digests and the place of a folder's files instead of copies, and its README.md.
        """
        if self._wandb is not None:
            with _harmless("W&B"):
                import wandb

                card = path / "README.md"
                text = card.read_text(encoding="utf-8") if card.is_file() else None
                artifact = wandb.Artifact(name, type=kind, description=text)
                if reference:
                    artifact.add_reference(path.resolve().as_uri(), max_objects=10_000_000)
                    if text is not None:
                        artifact.add_file(str(card), "card/README.md")
                else:
                    (artifact.add_dir if path.is_dir() else artifact.add_file)(str(path))
                self._wandb.log_artifact(artifact)

    def close(self, failed: bool = False) -> None:
        """Finish all files; waits at most ONLINE_TIMEOUT seconds for a service."""
        for file, _, _ in self._files.values():
            file.close()
        self._files.clear()
        if self._writer is not None:
            with _harmless("TensorBoard"):
                self._writer.close()
        if self._wandb is not None:
            running, self._wandb = self._wandb, None
            _in_time("W&B", lambda: running.finish(exit_code=int(failed)))

    # -- inside ---------------------------------------------------------------------------------------------------

    def _open(self, name: str, columns: list[str]) -> tuple[TextIO, Any, list[str]]:
        path = self.run.path / f"{name}.csv"
        known: list[str] = []
        if path.exists():
            with open(path, newline="", encoding="utf-8") as old:
                known = next(csv.reader(old), [])
        if known and known != columns:
            raise UserError(f"{path} was written with the columns {', '.join(known)}; start a new run")
        file = open(path, "a", newline="", encoding="utf-8")  # noqa: SIM115 - open as long as the run
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        if not known:
            writer.writeheader()
        return file, writer, columns

    def _tensorboard(self, step: int) -> Any:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.run.path / "tensorboard"), purge_step=step)
        return self._writer

    def _mirror(self, values: dict[str, Any]) -> None:
        if self._wandb is not None:
            with _harmless("W&B"):
                self._wandb.log(values)

    def _start_wandb(self, job_type: str, config: dict[str, Any]) -> None:
        # Without this the library asks on the terminal which account to use.
        os.environ.setdefault("WANDB_SILENT", "true")
        mode = self._config.mode()
        for attempt in dict.fromkeys((mode, "offline")):
            with _harmless(f"W&B {attempt}"):
                import wandb

                identity = self.run.status.wandb_id or secrets.token_hex(4)
                self._wandb = wandb.init(
                    mode=attempt,  # type: ignore[arg-type]
                    project=self._config.project,
                    group=self._config.group or self.run.path.name,
                    job_type=job_type,
                    name=self.run.path.name,
                    id=identity,
                    resume="allow",
                    dir=str(self.run.path),
                    config=config,
                    settings=wandb.Settings(
                        silent=True, console="off", init_timeout=ONLINE_TIMEOUT, x_disable_stats=True, disable_git=True
                    ),
                )
                self._wandb.define_metric("*", step_metric="step")
                if identity != self.run.status.wandb_id:
                    self.run.remember(identity)
                return


@contextmanager
def _harmless(what: str) -> Iterator[None]:
    """A mirror that fails is reported once in the log and never stops a run."""
    try:
        yield
    except Exception as error:
        log.warning("%s: %s; the run goes on, its CSV files hold everything", what, " ".join(str(error).split()))


def _in_time(what: str, action: Callable[[], object]) -> None:
    def guarded() -> None:
        with _harmless(what):
            action()

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    thread.join(ONLINE_TIMEOUT)
    if thread.is_alive():
        log.warning("%s did not answer in %.0f s; `wandb sync` sends the run later", what, ONLINE_TIMEOUT)


def read_metrics(path: Path) -> dict[str, list[tuple[int, float]]]:
    """metrics.csv of the run at `path`: name -> (step, value) in the order of writing; empty where there is none."""
    found: dict[str, list[tuple[int, float]]] = {}
    with suppress(FileNotFoundError), open(path / "metrics.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["name"], []).append((int(row["step"]), float(row["value"])))
    return found
