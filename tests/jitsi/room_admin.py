"""What the owner of a room can do in it (XEP-0045), in the words the tests use."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Protocol

from tests.jitsi import stanzas
from tests.jitsi.stanzas import CLIENT, element


class Link(Protocol):
    """What is needed of the focus's login."""

    jid: str

    async def send(self, stanza: ET.Element) -> None: ...
    async def ask(self, iq: ET.Element, timeout_s: float = ...) -> ET.Element: ...
    async def ask_for_either(self, iq: ET.Element, timeout_s: float = ...) -> ET.Element: ...


class RoomAdmin:
    """Commands of an owner of one room."""

    def __init__(self, room: str, link: Link) -> None:
        self.room, self._link = room, link

    def _jid_of(self, nick: str) -> str:
        """Real JID of an occupant."""
        raise NotImplementedError

    async def kick(self, nick: str, reason: str = "") -> None:
        """Out of the room, status 307."""
        await self._admin(element("item", stanzas.MUC_ADMIN, _reason(reason), nick=nick, role="none"))

    async def ban(self, nick: str) -> None:
        """Out of the room for good, status 301."""
        jid = stanzas.bare(self._jid_of(nick))
        await self._admin(element("item", stanzas.MUC_ADMIN, jid=jid, affiliation="outcast"))

    async def make_moderator(self, nick: str, moderator: bool = True) -> None:
        """Owner or not."""
        jid = stanzas.bare(self._jid_of(nick))
        affiliation = "owner" if moderator else "none"
        await self._admin(element("item", stanzas.MUC_ADMIN, jid=jid, affiliation=affiliation))

    async def configure(self, **settings: str | bool) -> None:
        """Room settings by their names without `muc#roomconfig_`, e.g. `roomsecret`, `membersonly`."""
        fields = [
            element(
                "field", stanzas.DATA_FORM,
                element("value", stanzas.DATA_FORM, str(int(value)) if isinstance(value, bool) else value),
                var=f"muc#roomconfig_{name}",
            )
            for name, value in settings.items()
        ]  # fmt: skip
        kind = element(
            "field", stanzas.DATA_FORM, element("value", stanzas.DATA_FORM, stanzas.ROOM_CONFIG),
            var="FORM_TYPE", type="hidden",
        )  # fmt: skip
        form = element("x", stanzas.DATA_FORM, kind, *fields, type="submit")
        query = element("query", stanzas.MUC_OWNER, form)
        await self._link.ask(element("iq", CLIENT, query, type="set", to=self.room))

    async def destroy(self, reason: str = "", alternate: str | None = None) -> None:
        """Destroys the room."""
        node = element("destroy", stanzas.MUC_OWNER, _reason(reason, stanzas.MUC_OWNER), jid=alternate)
        query = element("query", stanzas.MUC_OWNER, node)
        await self._link.ask(element("iq", CLIENT, query, type="set", to=self.room))

    async def _admin(self, item: ET.Element) -> None:
        query = element("query", stanzas.MUC_ADMIN, item)
        await self._link.ask(element("iq", CLIENT, query, type="set", to=self.room))


def _reason(text: str, namespace: str = stanzas.MUC_ADMIN) -> ET.Element | None:
    return element("reason", namespace, text) if text else None
