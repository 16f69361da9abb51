"""Ctrl-C and `kill` end a run at the next place where its state can be saved whole; a second Ctrl-C ends it at once."""

from __future__ import annotations

import os
import signal
from types import FrameType, TracebackType


class StopSignal:
    """A context in which the given signals only raise a flag; call the object to read it."""

    def __init__(self, *signals: signal.Signals, say: str = "") -> None:
        """signals: SIGINT and SIGTERM where none is given. say: a line for the first one, where that place is far."""
        self._signals = signals or (signal.SIGINT, signal.SIGTERM)
        self._asked = False
        self._say = say
        self._before: dict[int, object] = {}

    def __call__(self) -> bool:
        return self._asked

    def __enter__(self) -> StopSignal:
        for number in self._signals:
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _ask(self, number: int, frame: FrameType | None) -> None:
        # a second SIGTERM is no impatience: timeout(1) sends it to the process and again to its group
        if self._asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        if self._say and not self._asked:
            os.write(2, f"\n{self._say}\n".encode())  # (print may be in the middle of a line just now)
        self._asked = True
