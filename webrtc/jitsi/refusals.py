"""Why we are not in a meeting, or no longer, in one sentence that tells the host what to do about it."""

from __future__ import annotations

import enum

from webrtc.jitsi.stanza import shown


class Refusal(enum.Enum):
    """Kinds of refusals and ends, for programs."""

    PASSWORD_NEEDED = "password-needed"
    PASSWORD_WRONG = "password-wrong"
    MEMBERS_ONLY = "members-only"
    LOBBY_DENIED = "lobby-denied"
    LOBBY_UNANSWERED = "lobby-unanswered"
    HOST_ABSENT = "host-absent"
    NAME_NEEDED = "name-needed"
    FULL = "full"
    LOGIN_NEEDED = "login-needed"
    TOKEN_REFUSED = "token-refused"
    ACCOUNT_REFUSED = "account-refused"
    NOT_ALLOWED = "not-allowed"
    VISITORS_ONLY = "visitors-only"
    RESERVATION = "reservation"
    ROOM_UNAVAILABLE = "room-unavailable"
    FOCUS_ABSENT = "focus-absent"
    WRONG_DOMAIN = "wrong-domain"
    WRONG_ADDRESS = "wrong-address"
    CERTIFICATE = "certificate"
    UNREACHABLE = "unreachable"
    SERVER_BROKEN = "server-broken"
    BANNED = "banned"
    KICKED = "kicked"
    MEETING_ENDED = "meeting-ended"
    LOST = "lost"
    LEFT = "left"


_SENTENCES = {
    Refusal.PASSWORD_NEEDED: "the meeting has a password: start the interpreter again with it",
    Refusal.PASSWORD_WRONG: "the meeting did not accept the password: start the interpreter again with the right one",
    Refusal.MEMBERS_ONLY: "the meeting lets in members only and has no lobby to wait in: a moderator has to open it, "
    "or give the interpreter an account or token that may enter",
    Refusal.LOBBY_DENIED: "a moderator did not let the interpreter in from the lobby: agree on it with them, then "
    "start it again",
    Refusal.LOBBY_UNANSWERED: "nobody let the interpreter in from the lobby for too long: ask a moderator to, then "
    "start it again",
    Refusal.HOST_ABSENT: "no host started the meeting for too long: start the interpreter again when the host is there",
    Refusal.NAME_NEEDED: "the server did not accept the interpreter's name: start it again with another display name",
    Refusal.FULL: "the meeting is full: somebody has to leave, or the server's administrator has to raise its limit, "
    "before the interpreter can join",
    Refusal.LOGIN_NEEDED: "the server lets in no guests: give the interpreter an account or a token of the server's",
    Refusal.TOKEN_REFUSED: "the server did not accept the token: get a fresh one that is for this room",
    Refusal.ACCOUNT_REFUSED: "the server did not accept the account: check user name and password",
    Refusal.NOT_ALLOWED: "the meeting does not let the interpreter in: ask a moderator or the server's administrator "
    "why",
    Refusal.VISITORS_ONLY: "the meeting takes further people as visitors only, who cannot speak: a moderator has to "
    "make room among its participants",
    Refusal.RESERVATION: "the server's reservation system has no place for this meeting: book the room, or start when "
    "its time has come",
    Refusal.ROOM_UNAVAILABLE: "the server would not open the room: open the meeting in a browser first, then start the "
    "interpreter again",
    Refusal.FOCUS_ABSENT: "the server's conference service does not answer: its administrator has to look at Jicofo",
    Refusal.WRONG_DOMAIN: "the server does not know the domain that its configuration names: its administrator has to "
    "correct config.js, or give the right domains by hand",
    Refusal.WRONG_ADDRESS: "there is no XMPP over WebSocket at the server's address for it: check the meeting's "
    "address, or give the WebSocket's URL by hand",
    Refusal.CERTIFICATE: "the server's certificate cannot be trusted: its administrator has to install a valid one, or "
    "give the interpreter the authority that signed it",
    Refusal.UNREACHABLE: "the server cannot be reached: check the meeting's address and the network",
    Refusal.SERVER_BROKEN: "the server does not follow the protocol, so that the interpreter cannot join: its "
    "administrator has to look at its logs",
    Refusal.BANNED: "the interpreter is banned from the meeting: a moderator has to lift that before it can join",
    Refusal.KICKED: "the interpreter was removed from the meeting by a moderator: start it again if that was not meant",
    Refusal.MEETING_ENDED: "the meeting was ended for everybody: start the interpreter again when it is held again",
    Refusal.LOST: "the connection to the server was lost and could not be made again: check the network and start the "
    "interpreter again",
    Refusal.LEFT: "the interpreter has left the meeting",
}


def sentence(kind: Refusal, said: str = "", secrets: tuple[str, ...] = ()) -> str:
    """What to tell the host.

    Args:
        kind: what happened.
        said: by the server about it, untrusted; shown in brackets.
        secrets: are blotted out of what the server said, should it repeat them.
    """
    for secret in secrets:
        if secret:
            said = said.replace(secret, "…")
    said = shown(said).rstrip(".")
    return f"{_SENTENCES[kind]} (the server says: {said})" if said else _SENTENCES[kind]
