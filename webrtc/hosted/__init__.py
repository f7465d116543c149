"""The room we host ourselves: a page people open in a browser, and the server behind it."""

from webrtc.hosted.room import HostedRoom, Language
from webrtc.hosted.server import HostedServer, HostedSettings
from webrtc.hosted.tls import GivenCertificate, SelfSigned

__all__ = ["GivenCertificate", "HostedRoom", "HostedServer", "HostedSettings", "Language", "SelfSigned"]
