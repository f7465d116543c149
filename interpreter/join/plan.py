"""What `interpreter join` would do, in words for whoever is about to start it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import permutations

from duplex_model.contract import Capabilities
from interpreter.config.config import Config
from interpreter.directions import Direction, primary_language
from interpreter.join.settings import channels, language_rules, role_rules, seat_names, secret_place
from interpreter.languages import LANGUAGE_WORDS
from interpreter.people import PersonPattern
from interpreter.roles.casting import serving_engine
from webrtc.room import Stored

_WORDS = LANGUAGE_WORDS["en"]
_NO_CHAT = "Chat:         none: notices are heard where a checkpoint speaks them; no captions, no commands."
_KEPT: Mapping[Stored, str] = {
    Stored.TRANSCRIPT: "the text",
    Stored.AUDIO: "the sound",
    Stored.IDENTITY: "signed fingerprints of what the interpreter says",
    Stored.AUDIT: "who gave which command",
}


def plan(
    config: Config,
    found: Sequence[str],
    can: Mapping[str, Capabilities],
    stored: Iterable[Stored],
    remarks: Iterable[str] = (),
    *,
    chat: bool = True,
) -> list[str]:
    """All of it, a line each.

    Args:
        config: everything.
        found: what the server told, in words.
        can: what the engines are able to do, by name.
        stored: what would be kept.
        remarks: on the engines.
        chat: whether the meeting has one.
    """
    return [
        *found,
        *_entrance(config),
        *_seats(config),
        *_people(config, chat),
        *_engines(config, can),
        *remarks,
        _kept(config, stored),
        _chat(config) if chat else _NO_CHAT,
        f"Leaving:      {config.join.leave_after_min:g} min after the last person; "
        f"{config.join.wait_min:g} min would be waited for the first, or for a host.",
    ]


def spoken_languages(config: Config) -> list[str]:
    """Primary languages that people may turn out to speak: those of the channels and of the rules."""
    meeting = config.meeting
    tags = [
        *(channel.language for channel in channels(config)),
        *(tag for _, tag in language_rules(config)),
        *([] if meeting.language is None else [meeting.language]),
    ]
    return list(dict.fromkeys(language for tag in tags if (language := primary_language(tag)) is not None))


def _entrance(config: Config) -> list[str]:
    join = config.join
    token = secret_place(join.token_env, join.token_file)
    login = "as a guest" if token == "none" else f"as a guest with the token in {token}"
    if join.account is not None:
        login = f"with the account {join.account}"
    return [
        f"Login:        {login}; password of the meeting: {secret_place(join.password_env, join.password_file)}."
    ]


def _seats(config: Config) -> list[str]:
    lines = []
    for number, channel in enumerate(channels(config)):
        name = seat_names(config)[channel.language]
        does = "listens to everybody and speaks" if number == 0 else "speaks"
        voice = f" with the voice {channel.voice}" if channel.voice else ""
        when = ", always" if channel.always else ", when somebody present speaks it"
        lines.append(f"Participant:  {name} {does} {_WORDS.list([channel.language])}{voice}{when}.")
    return lines


def _people(config: Config, chat: bool) -> list[str]:
    default = config.meeting.language
    untold = "nobody is interpreted before they say what they speak in the chat (`!interp language TAG`)"
    others = f"everybody else is taken to speak {_WORDS.list([default])}" if default is not None else untold
    if default is None and not chat:
        others = "nobody else is interpreted"
    rules = [f"{_who(pattern)}: {_WORDS.list([tag])}" for pattern, tag in language_rules(config)]
    roles = [f"{_who(pattern)}: {role}" for pattern, role in role_rules(config)]
    return [
        f"Languages:    {'; '.join([*rules, others])}.",
        f"Roles:        {'; '.join([*roles, f'everybody else: {config.meeting.role}'])}.",
    ]


def _who(pattern: PersonPattern) -> str:
    parts = [("name", pattern.name), ("e-mail", pattern.email)]
    return " and ".join(f"{what} like {text!a}" for what, text in parts if text is not None)


def _engines(config: Config, can: Mapping[str, Capabilities]) -> list[str]:
    lines = []
    into = {channel.language for channel in channels(config)}
    for spoken, wanted in permutations(spoken_languages(config), 2):
        if wanted not in into:
            continue
        name = serving_engine(Direction("", spoken, wanted), can)
        pair = f"{_WORDS.list([spoken])} into {_WORDS.list([wanted])}"
        if name is None:
            lines.append(f"Checkpoint:   {pair} by nobody: whom it concerns is told so.")
        else:
            by = can[name]
            repeats = "" if by.translates else ", which repeats and does not translate"
            lines.append(f"Checkpoint:   {pair} by {by.checkpoint}, licence {by.licence}{repeats}.")
    return lines


def _kept(config: Config, stored: Iterable[Stored]) -> str:
    kinds = [_KEPT[one] for one in Stored if one in set(stored)]
    if config.meeting.folder is None or not kinds:
        return "Kept:         nothing."
    return f"Kept:         {', '.join(kinds)}, in {config.meeting.folder}."


def _chat(config: Config) -> str:
    captions = {"off": "no captions", "final": "captions of what is rendered"}[config.join.captions]
    hosts = {"moderators": "moderators", "nobody": "nobody"}[config.join.hosts]
    return f"Chat:         notices and {captions}; commands for hosts are taken from {hosts}."
