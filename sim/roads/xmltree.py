"""XML read into light elements that know their line, so that every complaint can name it.

Document types and entities are refused: a road file needs neither, and both are ways to attack a reader.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NoReturn
from xml.parsers import expat

from sim.roads.errors import RoadError

MAX_BYTES = 256 << 20
MAX_DEPTH = 64
MAX_NUMBER = 1e9


class Element:
    """One XML element: tag, attributes, children, text and where it stands."""

    __slots__ = ("attributes", "children", "file", "line", "tag", "text")

    def __init__(self, tag: str, attributes: dict[str, str], file: str, line: int) -> None:
        self.tag = tag
        self.attributes = attributes
        self.children: list[Element] = []
        self.text = ""
        self.file = file
        self.line = line

    def fail(self, message: str) -> NoReturn:
        """Raise RoadError about this element."""
        raise RoadError(f"{self.file}, line {self.line}, <{self.tag}>: {message}")

    def all(self, tag: str) -> Iterator[Element]:
        """Children of that tag, in order."""
        return (child for child in self.children if child.tag == tag)

    def first(self, tag: str) -> Element | None:
        """The first child of that tag."""
        return next(self.all(tag), None)

    def need(self, tag: str) -> Element:
        """The first child of that tag; RoadError where there is none."""
        child = self.first(tag)
        if child is None:
            self.fail(f"has no <{tag}>")
        return child

    def text_of(self, name: str, default: str | None = None) -> str:
        """Attribute as text; RoadError where it is missing and there is no default."""
        value = self.attributes.get(name, default)
        if value is None:
            self.fail(f"lacks the attribute {name!r}")
        return value.strip()

    def number(self, name: str, default: float | None = None) -> float:
        """Attribute as a finite number below 1e9; RoadError otherwise."""
        text = self.attributes.get(name)
        if text is None or not text.strip():
            if default is None:
                self.fail(f"lacks the attribute {name!r}")
            return default
        try:
            value = float(text)
        except ValueError:
            self.fail(f"{name}={text[:40]!r} is not a number")
        if not math.isfinite(value) or abs(value) > MAX_NUMBER:
            self.fail(f"{name}={text[:40]!r} is out of range")
        return value

    def integer(self, name: str, default: int | None = None) -> int:
        """Attribute as a whole number; RoadError otherwise."""
        value = self.number(name, default)
        if value != int(value):
            self.fail(f"{name}={value:g} is not a whole number")
        return int(value)


def parse(data: bytes, file: str) -> Element:
    """The root element of an XML document; RoadError (naming `file` and line) where it is not well-formed."""
    if len(data) > MAX_BYTES:
        raise RoadError(f"{file}: {len(data) >> 20} MiB is more than the {MAX_BYTES >> 20} MiB that are read")
    parser = expat.ParserCreate()
    parser.buffer_text = True
    root: list[Element] = []
    stack: list[Element] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag, attributes, file, parser.CurrentLineNumber)
        if stack:
            stack[-1].children.append(element)
        else:
            root.append(element)
        stack.append(element)
        if len(stack) > MAX_DEPTH:
            element.fail(f"is nested deeper than {MAX_DEPTH} elements")

    def end(_tag: str) -> None:
        stack.pop()

    def text(data: str) -> None:
        if stack:
            stack[-1].text += data

    def refuse(*_: object) -> None:
        raise RoadError(f"{file}, line {parser.CurrentLineNumber}: document types and entities are not accepted")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise RoadError(f"{file}, line {error.lineno}: not well-formed XML ({expat.ErrorString(error.code)})") from None
    except (ValueError, LookupError) as error:  # an encoding that expat or Python does not know
        if isinstance(error, RoadError):
            raise
        raise RoadError(f"{file}, line {parser.CurrentLineNumber}: not readable XML ({error})") from None
    return root[0]
