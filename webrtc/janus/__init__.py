"""Taking part in a VideoRoom of a Janus server."""

from webrtc.janus.address import JanusAddress, parse_janus_url
from webrtc.janus.room import JanusRoom
from webrtc.janus.settings import JanusSettings, ids_from
from webrtc.janus.socket import JanusInfo, ask_info

__all__ = [
    "JanusAddress",
    "JanusInfo",
    "JanusRoom",
    "JanusSettings",
    "ask_info",
    "ids_from",
    "parse_janus_url",
]
