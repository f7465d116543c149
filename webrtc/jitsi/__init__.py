"""Jitsi: the translation service that a server's bridges call, and a guest in any meeting."""

from webrtc.jitsi.connection import discover
from webrtc.jitsi.discovery import MeetingUrl, Overrides, Server, parse_meeting_url
from webrtc.jitsi.guest_settings import GuestSettings
from webrtc.jitsi.room import JitsiRoom
from webrtc.jitsi.sasl import Account
from webrtc.jitsi.translate_room import TranslateRoom
from webrtc.jitsi.translate_service import Admit, Host, TranslateService, TranslateSettings

__all__ = [
    "Account",
    "Admit",
    "GuestSettings",
    "Host",
    "JitsiRoom",
    "MeetingUrl",
    "Overrides",
    "Server",
    "TranslateRoom",
    "TranslateService",
    "TranslateSettings",
    "discover",
    "parse_meeting_url",
]
