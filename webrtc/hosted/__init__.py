"""The room we host ourselves: a page people open in a browser, and the server behind it."""

from webrtc.hosted.room import HostedRoom, Language
from webrtc.hosted.server import Document, HostedServer, HostedSettings
from webrtc.hosted.tls import GivenCertificate, SelfSigned
from webrtc.hosted.whip import Door, Invitee

__all__ = [
    "Document",
    "Door",
    "GivenCertificate",
    "HostedRoom",
    "HostedServer",
    "HostedSettings",
    "Invitee",
    "Language",
    "SelfSigned",
]
