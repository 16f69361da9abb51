"""Small OpenDRIVE documents for tests, written out by hand or put together from parts."""

from __future__ import annotations

PARAM_POLY3 = '<paramPoly3 pRange="{range}" aU="0" bU="{bu}" cU="{cu}" dU="{du}" aV="0" bV="0" cV="{cv}" dV="{dv}"/>'

LANES = """
  <laneOffset s="0" a="0.5" b="0" c="0" d="0"/><laneOffset s="20" a="0.5" b="0.01" c="-0.0005" d="0"/>
  <laneSection s="0">
    <left>
      <lane id="2" type="sidewalk"><width sOffset="0" a="2" b="0" c="0" d="0"/></lane>
      <lane id="1" type="driving"><link><predecessor id="1"/><successor id="1"/></link>
        <width sOffset="0" a="3.5" b="0" c="0" d="0"/>
        <roadMark sOffset="0" type="solid" color="white" width="0.15" laneChange="none"/></lane>
    </left>
    <center><lane id="0" type="none"><roadMark sOffset="0" type="broken" color="yellow" width="0.12"/></lane></center>
    <right>
      <lane id="-1" type="driving"><link><successor id="-1"/></link>
        <width sOffset="0" a="3.2" b="0" c="0.002" d="-0.00004"/>
        <roadMark sOffset="0" type="broken" color="white" width="0.12" laneChange="both"/>
        <speed sOffset="0" max="36" unit="km/h"/></lane>
      <lane id="-2" type="driving"><link><successor id="-2"/></link>
        <width sOffset="0" a="3" b="0.01" c="0" d="0"/><width sOffset="10" a="3.1" b="0" c="0" d="0"/>
        <roadMark sOffset="0" type="solid" color="white" width="0.15" laneChange="none"/></lane>
      <lane id="-3" type="sidewalk"><width sOffset="0" a="2" b="0" c="0" d="0"/>
        <height sOffset="0" inner="0.1" outer="0.2"/></lane>
    </right>
  </laneSection>
  <laneSection s="30">
    <left><lane id="1" type="driving"><link><predecessor id="1"/></link>
      <width sOffset="0" a="3.5" b="0" c="0" d="0"/></lane></left>
    <center><lane id="0" type="none"/></center>
    <right>
      <lane id="-1" type="driving"><link><predecessor id="-1"/></link>
        <width sOffset="0" a="3.2" b="0" c="0" d="0"/></lane>
      <lane id="-2" type="driving"><link><predecessor id="-2"/></link>
        <width sOffset="0" a="3.1" b="0" c="0" d="0"/></lane>
    </right>
  </laneSection>"""


def road(
    shape: str = "<line/>",
    *,
    number: str = "1",
    length: float = 50.0,
    start: tuple[float, float, float] = (10.0, 20.0, 0.4),
    lanes: str = LANES,
    extra: str = "",
    attributes: str = 'junction="-1"',
) -> str:
    """A road of one geometry with 5 lanes that widen and shift, a slope and two lane sections."""
    x, y, heading = start
    return f"""<road name="" length="{length}" id="{number}" {attributes}>
  <type s="0" type="town"><speed max="30" unit="mph"/></type>
  <planView><geometry s="0" x="{x}" y="{y}" hdg="{heading}" length="{length}">{shape}</geometry></planView>
  <elevationProfile><elevation s="0" a="1" b="0.02" c="0" d="0"/>
    <elevation s="25" a="1.5" b="0.02" c="0.001" d="-0.00001"/></elevationProfile>
  <lanes>{lanes}</lanes>{extra}
</road>"""


def document(*parts: str) -> str:
    """An OpenDRIVE document."""
    return (
        '<?xml version="1.0"?>\n<OpenDRIVE>\n<header revMajor="1" revMinor="4"/>\n'
        + "\n".join(parts)
        + "\n</OpenDRIVE>"
    )
