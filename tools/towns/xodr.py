"""Writes a town as OpenDRIVE 1.4, in the dialect of CARLA's own towns."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

from tools.towns.curves import Piece
from tools.towns.roads import Cubic, End, Lane, Mark, Road
from tools.towns.town import Junction, Town

MPH = 1.609344


def num(x: float) -> str:
    """Twelve decimals, so that the last bits of a platform's maths library do not reach the file."""
    text = f"{x:.12f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


class _Writer:
    def __init__(self) -> None:
        self.lines: list[str] = ['<?xml version="1.0" encoding="UTF-8"?>']
        self.stack: list[str] = []

    def leaf(self, tag: str, /, **attributes: object) -> None:
        self.lines.append(f"{' ' * len(self.stack)}<{tag}{self._text(attributes)}/>")

    def open(self, tag: str, /, **attributes: object) -> None:
        self.lines.append(f"{' ' * len(self.stack)}<{tag}{self._text(attributes)}>")
        self.stack.append(tag)

    def close(self) -> None:
        name = self.stack.pop()
        self.lines.append(f"{' ' * len(self.stack)}</{name}>")

    @staticmethod
    def _text(attributes: dict[str, object]) -> str:
        return "".join(
            f" {key.rstrip('_')}={quoteattr(num(v) if isinstance(v, float) else str(v))}"
            for key, v in attributes.items()
        )

    def cubics(self, name: str, cubics: list[Cubic], s_name: str = "s") -> None:
        for s, a, b, c, d in cubics:
            self.leaf(name, **{s_name: s, "a": a, "b": b, "c": c, "d": d})


def write(town: Town) -> str:
    """The whole file as text."""
    w = _Writer()
    w.open("OpenDRIVE")
    points = [r.track.at(r.length * k / 16) for r in town.roads for k in range(17)]
    w.open(
        "header", revMajor=1, revMinor=4, name=town.name, version=1, date="2026-01-01T00:00:00",
        north=max(p.y for p in points), south=min(p.y for p in points),
        east=max(p.x for p in points), west=min(p.x for p in points), vendor="Throttle",
    )  # fmt: skip
    latitude, longitude = town.origin
    w.lines.append(
        f"  <geoReference><![CDATA[+proj=tmerc +lat_0={latitude:g} +lon_0={longitude:g} +k=1 +x_0=0 +y_0=0 "
        "+datum=WGS84 +units=m +geoidgrids=egm96_15.gtx +vunits=m +no_defs ]]></geoReference>"
    )
    w.close()
    for road in town.roads:
        _road(w, road)
    controllers = [c for j in town.junctions for c in j.controllers]
    for c in controllers:
        w.open("controller", name=f"ctrl{c.id}", id=c.id, sequence=c.sequence)
        for signal in c.signals:
            w.leaf("control", signalId=signal, type="")
        w.close()
    for junction in town.junctions:
        _junction(w, junction)
    w.close()
    return "\n".join(w.lines) + "\n"


def _road(w: _Writer, road: Road) -> None:
    w.open("road", name=road.name, length=road.length, id=road.id, junction=road.junction)
    w.open("link")
    for name, end in (("predecessor", road.predecessor), ("successor", road.successor)):
        if end is not None:
            _end(w, name, end)
    w.close()
    w.open("type", s=0.0, type=road.kind)
    w.leaf("speed", max=road.speed / MPH, unit="mph")
    w.close()
    w.open("planView")
    s = 0.0
    for piece in road.track.pieces:
        _geometry(w, s, piece)
        s += piece.length
    w.close()
    w.open("elevationProfile")
    w.cubics("elevation", road.elevation)
    w.close()
    w.open("lateralProfile")
    w.cubics("superelevation", [(0.0, 0.0, 0.0, 0.0, 0.0)])
    w.close()
    w.open("lanes")
    w.cubics("laneOffset", road.offset)
    for n, section in enumerate(road.sections):
        w.open("laneSection", s=section.s)
        before = road.sections[n - 1].ids() if n else None
        after = road.sections[n + 1].ids() if n + 1 < len(road.sections) else None
        for side in ("left", "center", "right"):
            sign = {"left": 1, "center": 0, "right": -1}[side]
            ids = {0: None} if sign == 0 else {i: q for i, q in section.ids().items() if i * sign > 0}
            if not ids:
                continue
            w.open(side)
            for i in sorted(ids, reverse=True):
                q = ids[i]
                w.open("lane", id=i, type=q.kind if q else "none", level="false")
                if q is None:
                    _marks(w, section.center)
                else:
                    old = road.links_start.get(i) if before is None else _same(before, i, q)
                    new = road.links_end.get(i) if after is None else _same(after, i, q)
                    _lane(w, q, old, new)
                w.close()
            w.close()
        w.close()
    w.close()
    _beside(w, road)
    w.close()


def _same(lanes: dict[int, Lane], own: int, q: Lane) -> int | None:
    return next((i for i, other in lanes.items() if other.key == q.key and i * own > 0), None)


def _end(w: _Writer, name: str, end: End) -> None:
    if end.kind == "junction":
        w.leaf(name, elementType="junction", elementId=end.id)
    else:
        w.leaf(name, elementType="road", elementId=end.id, contactPoint=end.contact)


def _geometry(w: _Writer, s: float, piece: Piece) -> None:
    p = piece.start
    w.open("geometry", s=s, x=p.x, y=p.y, hdg=p.h, length=piece.length)
    if piece.c0 != piece.c1:
        w.leaf("spiral", curvStart=piece.c0, curvEnd=piece.c1)
    elif piece.c0:
        w.leaf("arc", curvature=piece.c0)
    else:
        w.leaf("line")
    w.close()


def _lane(w: _Writer, q: Lane, old: int | None, new: int | None) -> None:
    w.open("link")
    if old is not None:
        w.leaf("predecessor", id=old)
    if new is not None:
        w.leaf("successor", id=new)
    w.close()
    w.cubics("width", q.width, "sOffset")
    _marks(w, q.marks)
    if q.height:
        w.leaf("height", sOffset=0.0, inner=q.height, outer=q.height)


def _marks(w: _Writer, marks: list[Mark]) -> None:
    for m in marks:
        w.leaf(
            "roadMark", sOffset=m.s, type=m.kind, weight="standard", material="standard", color=m.color, width=m.width,
            laneChange=m.change,
        )  # fmt: skip


def _beside(w: _Writer, road: Road) -> None:
    if road.crosswalks:
        w.open("objects")
        for c in road.crosswalks:
            us, vs = [u for u, _ in c.corners], [v for _, v in c.corners]
            w.open(
                "object", id=c.id, name="SimpleCrosswalk", s=c.s, t=0.0, zOffset=0.0, hdg=0.0, roll=0.0, pitch=0.0,
                orientation="-", type="crosswalk", width=max(vs) - min(vs), length=max(us) - min(us),
            )  # fmt: skip
            w.open("outline")
            for u, v in c.corners:
                w.leaf("cornerLocal", u=u, v=v, z=0.0)
            w.close()
            w.close()
        w.close()
    if road.signals or road.references:
        w.open("signals")
        for g in road.signals:
            w.open(
                "signal", name=g.name, id=g.id, s=g.s, t=g.t, zOffset=g.z, hOffset=g.h_offset, roll=0.0, pitch=0.0,
                orientation=g.orientation, dynamic="yes" if g.dynamic else "no", country="OpenDRIVE", type=g.type,
                subtype=g.subtype, value=g.value, unit=g.unit, text=g.text, height=g.height, width=g.width,
            )  # fmt: skip
            w.leaf("validity", fromLane=g.lanes[0], toLane=g.lanes[1])
            w.close()
        for r in road.references:
            w.open("signalReference", id=r.signal, s=r.s, t=0.0, orientation="-")
            w.leaf("validity", fromLane=r.lanes[0], toLane=r.lanes[1])
            w.close()
        w.close()


def _junction(w: _Writer, junction: Junction) -> None:
    w.open("junction", id=junction.id, name=junction.name)
    for n, c in enumerate(junction.connections):
        w.open("connection", id=n, incomingRoad=c.incoming, connectingRoad=c.connecting, contactPoint="start")
        for old, new in c.links:
            w.leaf("laneLink", from_=old, to=new)
        w.close()
    for controller in junction.controllers:
        w.leaf("controller", id=controller.id, type=0, sequence=controller.sequence)
    w.close()
