"""What the configuration of joining a meeting means for a room of a Janus server."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping

from interpreter.config.config import Config
from interpreter.config.engines import Say
from interpreter.config.settings import ice_settings, secret
from interpreter.errors import ConfigError
from interpreter.join.settings import seat_names, tls_context
from webrtc.janus import JanusAddress, JanusRoom, JanusSettings, ask_info, ids_from, parse_janus_url


async def janus_room(
    config: Config, environ: Mapping[str, str], say: Say
) -> tuple[JanusRoom, tuple[str, ...]]:
    """The room of a configuration, not entered yet, and what its server tells of itself, a line each.

    Args:
        config: everything; `config.join.url` is where.
        environ: where secrets may be.
        say: gets what happens at the room's door.

    Raises:
        ConfigError: secrets or certificates are not where the configuration says, or the PIN is in two places.
        WebRTCError: there is no such address, or no Janus server at it.
    """
    settings = janus_settings(config, environ)
    info = await ask_info(settings.address, settings.tls)
    found = (
        f"Meeting:      {settings.address.title}.",
        f"Server:       Janus {info.version}, signalling at {settings.address.url}.",
    )
    return JanusRoom(settings, say), found


def janus_settings(config: Config, environ: Mapping[str, str]) -> JanusSettings:
    """The settings of a publisher for each language.

    Raises:
        ConfigError: secrets or certificates are not where the configuration says, or the PIN is in two places.
        LocalError: there is no such address.
    """
    join = config.join
    address = parse_janus_url(join.url or "", insecure=join.insecure)
    pin = secret(join.password_env, join.password_file, environ)
    if pin is not None and address.pin:
        raise ConfigError("expected the room's PIN in one place, got it in the address and as the password")
    return JanusSettings(
        address=JanusAddress(url=address.url, room=address.room, pin=pin or address.pin),
        seats=seat_names(config),
        first_id=ids_from(int(time.time()), secrets.randbelow(10)),
        token=secret(join.token_env, join.token_file, environ) or "",
        ice=ice_settings(config.server, environ),
        tls=tls_context(join),
    )
