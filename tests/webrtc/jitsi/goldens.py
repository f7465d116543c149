"""Jingle written by hand from section 1.8 of the fact sheet; none of it was captured anywhere."""

from __future__ import annotations

from xml.etree.ElementTree import Element, fromstring

FINGERPRINT = ":".join(f"{n:02X}" for n in range(32))

TRANSPORT = f"""
<transport xmlns="urn:xmpp:jingle:transports:ice-udp:1" ufrag="4vq1h1j5" pwd="3i0c9lqm7p3k1v8r2t5s6u9w0x">
  <rtcp-mux/>
  <fingerprint xmlns="urn:xmpp:jingle:apps:dtls:0" hash="sha-256" setup="actpass" cryptex="true">
    {FINGERPRINT}
  </fingerprint>
  <candidate component="1" foundation="1" generation="0" id="a1" network="0" ip="10.0.0.7" port="10000"
    priority="2130706431" protocol="udp" type="host"/>
  <candidate component="1" foundation="2" generation="0" id="a2" network="0" ip="203.0.113.9" port="10000"
    priority="1677724415" protocol="udp" type="srflx" rel-addr="10.0.0.7" rel-port="10000"/>
  <candidate component="1" foundation="3" generation="0" id="a3" network="0" ip="10.0.0.7" port="4443"
    priority="1000" protocol="ssltcp" tcptype="passive" type="host"/>
  %s
</transport>"""

SCTPMAP = """<sctpmap xmlns="urn:xmpp:jingle:transports:dtls-sctp:1" number="5000" protocol="webrtc-datachannel"
    streams="1024"/>"""
WEB_SOCKET = """<web-socket xmlns="http://jitsi.org/protocol/colibri"
    url="wss://meet.example/colibri-ws/default-id/4a5b/1a2b3c4d?pwd=hidden"/>"""

AUDIO = """
<content creator="initiator" name="audio" senders="both">
  <description xmlns="urn:xmpp:jingle:apps:rtp:1" media="audio" maxptime="60">
    <payload-type id="112" name="red" clockrate="48000" channels="2"><parameter value="109/109"/></payload-type>
    <payload-type id="109" name="opus" clockrate="48000" channels="2">
      <parameter name="minptime" value="10"/><parameter name="useinbandfec" value="1"/>
    </payload-type>
    <payload-type id="126" name="telephone-event" clockrate="8000"/>
    <rtp-hdrext xmlns="urn:xmpp:jingle:apps:rtp:rtp-hdrext:0" id="3" uri="urn:ietf:params:rtp-hdrext:ssrc-audio-level"/>
    <rtp-hdrext xmlns="urn:xmpp:jingle:apps:rtp:rtp-hdrext:0" id="10" uri="urn:ietf:params:rtp-hdrext:sdes:mid"/>
    <extmap-allow-mixed xmlns="urn:xmpp:jingle:apps:rtp:rtp-hdrext:0"/>
    <rtcp-mux/>
    %s
  </description>
  %s
</content>"""

DATA = """
<content creator="initiator" name="data" senders="both">
  <description xmlns="urn:xmpp:jingle:apps:rtp:1" media="application"/>
  %s
</content>"""

SOURCES_XML = """
<source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" ssrc="3735928559" name="aaaaaaaa-a0">
  <ssrc-info xmlns="http://jitsi.org/jitmeet" owner="aaaaaaaa"/>
  <parameter name="msid" value="aaaaaaaa-audio-0-1 0f1e"/>
</source>
<source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" ssrc="17" name="bbbbbbbb-a0">
  <ssrc-info xmlns="http://jitsi.org/jitmeet" owner="room@muc.meet.example/bbbbbbbb"/>
</source>
<source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" ssrc="5" name="jvb-a0">
  <ssrc-info xmlns="http://jitsi.org/jitmeet" owner="jvb"/>
  <parameter name="msid" value="mixedmslabel mixedlabelaudio0"/>
</source>"""

SOURCES_JSON = """
<json-message xmlns="http://jitsi.org/jitmeet">{"sources":{
  "aaaaaaaa":[[{"s":7,"n":"aaaaaaaa-v0","m":"v w"}],[["f",7,8]],
              [{"s":3735928559,"n":"aaaaaaaa-a0","m":"aaaaaaaa-audio-0-1 0f1e"}]],
  "bbbbbbbb":[[],[],[{"s":17,"n":"bbbbbbbb-a0"}],[]],
  "jvb":[[],[],[{"s":5,"n":"jvb-a0","m":"mixedmslabel mixedlabelaudio0"}]],
  "cccccccc":[[{"s":9,"n":"cccccccc-v0"}]]}}</json-message>"""


def initiate(
    *,
    sid: str = "s1",
    sources: str = SOURCES_XML,
    compact: str = "",
    data: bool = True,
    web_socket: bool = False,
    extra: str = "",
    bridge_session: str = "b1",
) -> Element:
    """A session-initiate."""
    socket = WEB_SOCKET if web_socket else ""
    return fromstring(
        f"""
<jingle xmlns="urn:xmpp:jingle:1" action="session-initiate" sid="{sid}" initiator="focus@auth.meet.example/focus">
  {AUDIO % (sources, TRANSPORT % socket)}
  {DATA % (TRANSPORT % SCTPMAP) if data else ""}
  <group xmlns="urn:xmpp:jingle:apps:grouping:0" semantics="BUNDLE">
    <content name="audio"/><content name="data"/>
  </group>
  <bridge-session xmlns="http://jitsi.org/protocol/focus" id="{bridge_session}" region="eu"/>
  {compact}{extra}
</jingle>"""
    )


def sources(action: str, *, sid: str = "s1", xml: str = "", compact: str = "") -> Element:
    """A source-add or source-remove in one of the two forms."""
    content = f"""<content creator="initiator" name="audio" senders="both">
      <description xmlns="urn:xmpp:jingle:apps:rtp:1" media="audio">{xml}</description></content>"""
    return fromstring(
        f'<jingle xmlns="urn:xmpp:jingle:1" action="{action}" sid="{sid}">{content if xml else compact}</jingle>'
    )


def source_xml(ssrc: int, owner: str, name: str = "") -> str:
    """One source."""
    return f"""<source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" ssrc="{ssrc}" name="{name or owner + "-a0"}">
      <ssrc-info xmlns="http://jitsi.org/jitmeet" owner="{owner}"/></source>"""


def plain(action: str, *, sid: str = "s1", inside: str = "") -> Element:
    """Any other action."""
    return fromstring(f'<jingle xmlns="urn:xmpp:jingle:1" action="{action}" sid="{sid}">{inside}</jingle>')


def terminate(reason: str, text: str = "", *, sid: str = "s1") -> Element:
    """A session-terminate."""
    words = f"<text>{text}</text>" if text else ""
    return plain("session-terminate", sid=sid, inside=f"<reason><{reason}/>{words}</reason>")
