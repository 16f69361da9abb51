"""What the user watches while something runs: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

LINE_EVERY = 10.0  # seconds between lines where there is no terminal


class ProgressBar:
    """A bar with figures beside it; implements `contracts.runs.Progress`."""

    def __init__(self, title: str, console: Console | None = None) -> None:
        self.title = title
        self.console = console or Console(stderr=True)
        self._bar: Progress | None = None
        self._last = 0.0
        self._first: tuple[float, int] | None = None

    def __enter__(self) -> ProgressBar:
        if self.console.is_terminal:
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[figures]}"),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=self.console,
            )
            self._bar.add_task(self.title, total=None, figures="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, step: int, total: int, **figures: float) -> None:
        """Show `step` of `total` and the figures: percentages for names that end in "share", else plain numbers."""
        shown = "  ".join(f"{name.replace('_', ' ')} {_figure(name, value)}" for name, value in figures.items())
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=step, total=total, figures=shown)
            return
        now = time.monotonic()
        self._first = self._first or (now, step)
        if now - self._last >= LINE_EVERY or step >= total:
            self._last = now
            began, start = self._first
            left = (now - began) * (total - step) / (step - start) if step > start else float("nan")
            remaining = "" if left != left or step >= total else f"  left {left:.0f} s"
            self.console.print(f"{self.title}: {step:,}/{total:,}  {shown}{remaining}", highlight=False)


class Bars:
    """Several things that run at once, each with a bar (or lines, where there is no terminal)."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._shown: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._last: dict[str, float] = {}

    def __enter__(self) -> Bars:
        if self.console.is_terminal:
            self._shown = Progress(
                TextColumn("  {task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[figures]}"),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=self.console,
            )
            self._shown.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown is not None:
            self._shown.stop()

    def update(self, name: str, step: int, total: int, figures: dict[str, float], note: str = "") -> None:
        """Show that `name` is at `step` of `total`."""
        text = "  ".join(f"{key.replace('_', ' ')} {_figure(key, value)}" for key, value in figures.items()) or note
        if self._shown is not None:
            if name not in self._tasks:
                self._tasks[name] = self._shown.add_task(name, total=total, figures="")
            self._shown.update(self._tasks[name], completed=min(step, total), total=total, figures=text)
            return
        now = time.monotonic()
        if name not in self._last or now - self._last[name] >= LINE_EVERY or step >= total:
            self._last[name] = now
            self.console.print(f"  {name}: {step:,}/{total:,}  {text}", highlight=False, soft_wrap=True)


def _figure(name: str, value: float) -> str:
    if name.endswith("share"):
        return f"{100 * value:.0f}%"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
