"""What a configuration means: settings of the server and the meeting, with the files and secrets that it only names.

Whatever is wrong is said before anything is started.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from interpreter.commands.memory_file import MemoryFile, memory_path
from interpreter.config.config import Config, IceServerConfig, MeetingConfig, ServerConfig
from interpreter.directions import primary_language
from interpreter.errors import ConfigError
from interpreter.identity.keys import IdentityKey, PublicKey, kept_key, key_from_pem, key_set
from interpreter.interpretation.interpretation import InterpretationSettings
from interpreter.interpretation.language_assignment import assign_languages
from interpreter.meeting.settings import MeetingSettings
from interpreter.mixing.cushion import CushionSettings
from interpreter.mixing.mixing import Ducking
from interpreter.people import person_key
from interpreter.record.cost import Price
from interpreter.record.record import RecordSettings
from interpreter.roles.assignment import assign_roles
from interpreter.roles.library import RoleLibrary, load_library, user_folder
from webrtc.hosted import Document, GivenCertificate, HostedSettings, Invitee, Language, SelfSigned
from webrtc.hosted.server import certificate_names
from webrtc.hosted.tls import server_context, utc_now
from webrtc.jitsi import TranslateSettings
from webrtc.peer import IceServer, IceSettings

JWKS_PATH = "/.well-known/jwks.json"
"""Where the hosted server publishes the key that signs."""


def meeting_settings(config: Config, environ: Mapping[str, str]) -> MeetingSettings:
    """The meeting's settings.

    Raises:
        ConfigError: a role, a key or a folder cannot be used.
        IdentityError: the key cannot be used, or not be kept.
    """
    mixing, meeting = config.mixing, config.meeting
    return MeetingSettings(
        seed=config.room.seed,
        ducking=replace(
            Ducking(),
            attack_s=mixing.attack_ms / 1000.0,
            hold_s=mixing.hold_ms / 1000.0,
            release_s=mixing.release_ms / 1000.0,
        ),
        cushion=replace(
            CushionSettings(),
            min_s=mixing.cushion_min_ms / 1000.0,
            max_s=max(mixing.cushion_min_ms, mixing.cushion_max_ms) / 1000.0,
        ),
        interpretation=_interpretation(config),
        record=_record(config, environ),
        cancel_echo=meeting.cancel_echo,
        notice_sounds=cache_dir(environ) / "notices",
        untested_say=meeting.spoken_notices == "untested",
    )


def role_library(meeting: MeetingConfig) -> RoleLibrary:
    """The roles that may be chosen: the package's, the user's, and those of the configured folder.

    Raises:
        ConfigError: the folder is not there, or a file in one cannot be used.
    """
    folder = meeting.role_folder
    if folder is not None and not folder.is_dir():
        raise ConfigError(f"expected a folder of roles at {folder}, got none")
    return load_library([user_folder(), *([] if folder is None else [folder])])


def personal_roles(config: Config) -> Mapping[str, str]:
    """Roles of single people by name, as `person_key` gives it."""
    return {
        **{person_key(one.name): one.role for one in config.room.people if one.role is not None},
        **{person_key(one.person): one.role for one in config.meeting.roles},
    }


def invitees(config: Config, environ: Mapping[str, str]) -> tuple[Invitee, ...]:
    """Who may come by WHIP and WHEP.

    Raises:
        ConfigError: a token is not where the configuration says, or a language is none of the room's.
        LocalError: a token is too short, or cannot be shown by a client.
    """
    tags = [language.tag for language in config.room.languages]
    people = []
    for one in config.room.people:
        if one.language not in tags:
            raise ConfigError(
                f"expected one of the room's languages, {', '.join(tags)}, for {one.name!a}, got {one.language!a}"
            )
        token = secret(one.token_env, one.token_file, environ)
        people.append(Invitee(name=one.name, language=one.language, token=token or ""))
    return tuple(people)


def room_languages(config: Config) -> list[str]:
    """Primary languages that people may turn out to speak, in the order in which they are configured."""
    meeting = config.meeting
    tags = [
        *(language.tag for language in config.room.languages),
        *(one.language for one in meeting.languages),
        *([] if meeting.language is None else [meeting.language]),
    ]
    return list(dict.fromkeys(language for tag in tags if (language := primary_language(tag)) is not None))


def identity_key(config: Config, environ: Mapping[str, str]) -> IdentityKey:
    """The key that signs what is attested: from where the configuration says, or else from the state folder.

    Raises:
        ConfigError: it is not where the configuration says.
        IdentityError: it is no such key, or cannot be kept.
    """
    variable, file = config.meeting.identity_key_env, config.meeting.identity_key_file
    pem = secret(variable, file, environ)
    if pem is None:
        return kept_key(state_dir(config.server, environ))
    return key_from_pem(pem, f"the environment variable {variable}" if file is None else str(file))


def check_writable(folder: Path) -> None:
    """Makes sure that meetings can be kept in `folder`, which is made where it is missing.

    Raises:
        ConfigError: they cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(f"expected a folder to keep meetings in, got {folder}: {error.strerror}") from error


def _interpretation(config: Config) -> InterpretationSettings:
    meeting = config.meeting
    library = role_library(meeting)
    return InterpretationSettings(
        roles=assign_roles(meeting.role, personal_roles(config), library),
        library=library,
        spoken_notices=meeting.spoken_notices != "none",
        transcribe=meeting.transcribe,
        languages=assign_languages(meeting.language, {one.person: one.language for one in meeting.languages}),
        duck_db=config.mixing.duck_db,
    )


def _record(config: Config, environ: Mapping[str, str]) -> RecordSettings:
    meeting = config.meeting
    if meeting.folder is not None:
        check_writable(meeting.folder)
    elif meeting.keep != "nothing":
        raise ConfigError(f"expected a `folder` (--folder) to keep {meeting.keep} in, got none")
    return RecordSettings(
        key=identity_key(config, environ),
        keep=meeting.keep,
        folder=meeting.folder,
        issuer=meeting.issuer or config.server.public_url or RecordSettings.issuer,
        operator=meeting.operator,
        price=_price(meeting),
    )


def _price(meeting: MeetingConfig) -> Price | None:
    if meeting.price_per_gpu_hour is None or meeting.currency is None:
        return None
    return Price(per_gpu_hour=Decimal(str(meeting.price_per_gpu_hour)), currency=meeting.currency)


def jwks_document(*keys: PublicKey) -> Document:
    """The key set to publish (RFC 7517)."""
    return Document(path=JWKS_PATH, text=json.dumps(key_set(keys)), content_type="application/jwk-set+json")


def hosted_settings(
    config: Config, environ: Mapping[str, str], documents: tuple[Document, ...] = ()
) -> HostedSettings:
    """The server's settings, with the secrets that `config` only names.

    Args:
        config: everything.
        environ: where secrets may be.
        documents: to publish.

    Raises:
        ConfigError: a secret is not where the configuration says, or TLS files are missing.
    """
    server = config.server
    return HostedSettings(
        host=server.host,
        port=server.port,
        tls=server_tls(server, environ),
        insecure=server.insecure,
        public_url=server.public_url,
        ice=ice_settings(server, environ),
        max_participants=config.room.max_participants,
        languages=tuple(Language(tag=lang.tag, label=lang.label) for lang in config.room.languages),
        call_origins=config.room.origins,
        documents=documents,
    )


def translate_settings(config: Config, environ: Mapping[str, str]) -> TranslateSettings:
    """The settings of the service for Jitsi servers, with its token.

    Raises:
        ConfigError: the token is not where the configuration says, or TLS files are missing.
        LocalError: TLS files cannot be used.
    """
    server, jitsi = config.server, config.jitsi
    tls = server_tls(server, environ)
    names = certificate_names(hosted_settings(config, environ))
    return TranslateSettings(
        host=server.host,
        port=server.port,
        tls=None if tls is None else server_context(tls, names, utc_now()),
        insecure=server.insecure,
        token=secret(jitsi.token_env, jitsi.token_file, environ),
        header=jitsi.header,
        max_meetings=jitsi.max_meetings,
        max_connections=jitsi.max_connections,
        max_sources=jitsi.max_sources,
    )


def server_tls(server: ServerConfig, environ: Mapping[str, str]) -> SelfSigned | GivenCertificate | None:
    """The certificate to serve with beyond this machine; None for none.

    Raises:
        ConfigError: files are missing.
    """
    match server.tls:
        case "none":
            return None
        case "self-signed":
            return SelfSigned(state_dir=state_dir(server, environ))
        case "given":
            if server.certificate is None or server.key is None:
                raise ConfigError(
                    "expected `certificate` and `key` with tls `given`, got one or none of them"
                )
            return GivenCertificate(certificate=server.certificate, key=server.key)


def state_dir(server: ServerConfig, environ: Mapping[str, str]) -> Path:
    """Where keys and certificates are kept: by default the user's folder for state (XDG Base Directory)."""
    base = environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return server.state_dir or Path(base) / "meeting-interpreter"


def memory_file(config: Config, environ: Mapping[str, str], room: str) -> MemoryFile | None:
    """Where what is chosen in a room's meeting is kept over a restart; None where it is not to be kept."""
    minutes = config.meeting.remember_min
    if minutes == 0.0:
        return None
    return MemoryFile(memory_path(state_dir(config.server, environ), room), max_age_s=60.0 * minutes)


def cache_dir(environ: Mapping[str, str]) -> Path:
    """The user's folder for what can be made again (XDG Base Directory)."""
    base = environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "meeting-interpreter"


def ice_settings(server: ServerConfig, environ: Mapping[str, str]) -> IceSettings:
    """How connections find a way through the network.

    Raises:
        ConfigError: a password is not where the configuration says.
    """
    return IceSettings(
        servers=tuple(_ice_server(ice, environ) for ice in server.ice_servers),
        relay_only=server.relay_only,
    )


def _ice_server(ice: IceServerConfig, environ: Mapping[str, str]) -> IceServer:
    return IceServer(
        urls=ice.urls,
        username=ice.username,
        credential=secret(ice.credential_env, ice.credential_file, environ),
    )


def secret(variable: str | None, file: Path | None, environ: Mapping[str, str]) -> str | None:
    """What the environment variable or the file holds; None when neither is named.

    Raises:
        ConfigError: both are named, or what is named is not there; never says what it holds.
    """
    if variable is not None and file is not None:
        raise ConfigError(f"expected a secret in one place, got both ${variable} and {file}")
    if variable is not None:
        if not environ.get(variable):
            raise ConfigError(f"expected a secret in the environment variable {variable}, got none")
        return environ[variable]
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"expected a readable secret in {file}, got: {type(error).__name__}") from error
