"""What the interpreter tells people about itself, in their language. Pure.

`notices_for` says what a person should see now; whoever shows it compares with what they see already. A further
language is a further column of `_TEXTS` and `_LANGUAGE_NAMES`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from duplex_model.catalogue import text_for
from interpreter.commands.commands import CHAT_PREFIX
from interpreter.directions import Direction
from interpreter.mixing.routing import hears
from interpreter.sessions.sessions import SessionState
from webrtc.room import Hindrance, Notice, NoticeLevel

_TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "test-engine": "This is a test set-up: the interpreter repeats what it hears and translates nothing.",
        "connection": (
            "Your connection to the interpreter has a fault: you may not hear the others, or they may not hear you. "
            "Please leave and join again."
        ),
        "down": "The interpreter has stopped and is being restarted. Until it is back you hear everybody directly.",
        "full-hear": "All interpreters are busy. Until one is free you hear {people} directly.",
        "full-speak": "All interpreters are busy. Until one is free you are not interpreted into {languages}.",
        "failed-hear": "The interpreter of {people} had a fault and is being restarted. You hear them directly.",
        "failed-speak": "Your interpreter into {languages} had a fault and is being restarted.",
        "refused-hear": "This interpreter cannot interpret {people} for you. You hear them directly.",
        "refused-speak": "This interpreter cannot interpret you into {languages}. Those listeners hear you directly.",
        "misheard-speak": "The interpreter did not understand you. Please say it again.",
        "misheard-hear": "The interpreter did not understand {people}.",
        "another-interpreter": "Another interpreter is already in this meeting; this one is silent and hears nobody.",
        "encrypted": "The interpreter cannot hear end-to-end encrypted sound: please switch the encryption off.",
        "muted": (
            "The interpreter has been muted. Whoever leads the meeting lets it speak: {prefix} resume, and in the "
            "list of participants where sound is moderated."
        ),
        "language-unknown": "The interpreter does not know which language you speak. Please write: {lines}",
        "somebody": "this person",
        "and": " and ",
    },
    "es": {
        "test-engine": "Esto es una prueba: el intérprete repite lo que oye y no traduce nada.",
        "connection": (
            "Su conexión con el intérprete falla: puede que no oiga a los demás o que no le oigan. "
            "Salga y vuelva a entrar, por favor."
        ),
        "down": "El intérprete se ha detenido y se está reiniciando. Hasta que vuelva, oye a todos directamente.",
        "full-hear": "Todos los intérpretes están ocupados. Hasta que haya uno libre, oye directamente a {people}.",
        "full-speak": "Todos los intérpretes están ocupados. Por ahora no se le interpreta a: {languages}.",
        "failed-hear": "El intérprete de {people} ha fallado y se está reiniciando. Le llega la voz directa.",
        "failed-speak": "Su intérprete a {languages} ha fallado y se está reiniciando.",
        "refused-hear": "Este intérprete no puede interpretar a {people} para usted. Le llega la voz directa.",
        "refused-speak": "Este intérprete no puede interpretarle a: {languages}. Esas personas le oyen directamente.",
        "misheard-speak": "El intérprete no le ha entendido. Repítalo, por favor.",
        "misheard-hear": "El intérprete no ha entendido a {people}.",
        "another-interpreter": "Ya hay otro intérprete en esta reunión; este no escucha a nadie y guarda silencio.",
        "encrypted": "El intérprete no puede oír con el cifrado de extremo a extremo: desactívenlo en esta reunión.",
        "muted": (
            "Han silenciado al intérprete. Quien dirige la reunión le deja hablar de nuevo: {prefix} reanudar, y en la "
            "lista de participantes si el sonido está moderado."
        ),
        "language-unknown": "El intérprete no sabe qué idioma habla usted. Escriba, por favor: {lines}",
        "somebody": "esta persona",
        "and": " y ",
    },
}

_LANGUAGE_NAMES: Mapping[str, Mapping[str, str]] = {
    "en": {"en": "English", "es": "Spanish", "fr": "French", "de": "German", "pt": "Portuguese"},
    "es": {"en": "inglés", "es": "español", "fr": "francés", "de": "alemán", "pt": "portugués"},
}

_HINDRANCES = {
    Hindrance.ANOTHER_INTERPRETER: "another-interpreter",
    Hindrance.ENCRYPTED: "encrypted",
    Hindrance.MUTED: "muted",
}
_REASONS = {SessionState.FULL: "full", SessionState.FAILED: "failed", SessionState.REFUSED: "refused"}


@dataclass(frozen=True, kw_only=True)
class Person:
    """What a notice may depend on."""

    id: str
    name: str
    language: str | None
    """Primary language; None where unknown: notices then come in English."""

    isolated: bool = False
    """Their audio was taken out of the meeting after a fault."""


def notices_for(
    person: Person,
    people: Collection[Person],
    states: Mapping[Direction, SessionState],
    *,
    translates: bool,
    demonstration: Mapping[str, str] = MappingProxyType({}),
    misheard: Collection[Direction] = (),
    asked: Collection[str] = (),
    choose: Sequence[str] = (),
    hindrances: Collection[Hindrance] = (),
) -> Mapping[str, Notice]:
    """Everything `person` should be told now, by notice id.

    Args:
        person: who reads them.
        people: everybody in the room whose name is known.
        states: of every direction needed, unserved ones as `REFUSED`.
        translates: whether the engine translates at all.
        demonstration: language -> what must be said of an engine that only demonstrates.
        misheard: directions in which the interpreter did not understand what was said just now.
        asked: ids of those who are asked to say it again.
        choose: languages that somebody may say they speak of whom it is not known; none where they cannot say so.
        hindrances: what keeps the interpreter from its work in this room.
    """
    tell = _Teller(person.language)
    for hindrance in hindrances:
        tell.add(_HINDRANCES[hindrance], NoticeLevel.WARNING)
    if set(hindrances) - {Hindrance.MUTED}:
        return tell.notices
    if person.language is None and choose:
        tell.ask_language(choose)
    if not translates and states:
        tell.add("test-engine", NoticeLevel.INFO)
    if demonstration:
        tell.label("demonstration", NoticeLevel.WARNING, demonstration)
    if person.isolated:
        tell.add("connection", NoticeLevel.ALERT)
    if person.id in asked:
        tell.add("misheard-speak", NoticeLevel.WARNING)
    names = {other.id: other.name for other in people}
    lost = [
        names.get(d.speaker_id) or tell.somebody for d in misheard if hears(person.id, person.language, d)
    ]
    if lost:
        tell.add("misheard-hear", NoticeLevel.INFO, people=lost)
    heard = {d: s for d, s in states.items() if hears(person.id, person.language, d)}
    spoken = {d: s for d, s in states.items() if d.speaker_id == person.id}
    if SessionState.DOWN in {*heard.values(), *spoken.values()}:
        tell.add("down", NoticeLevel.WARNING)
    for state, reason in _REASONS.items():
        unheard = [names.get(d.speaker_id) or tell.somebody for d, s in heard.items() if s is state]
        if unheard:
            tell.add(f"{reason}-hear", NoticeLevel.WARNING, people=unheard)
        unspoken = [tell.language_name(d.language_out) for d, s in spoken.items() if s is state]
        if unspoken:
            tell.add(f"{reason}-speak", NoticeLevel.WARNING, languages=unspoken)
    return tell.notices


class _Teller:
    """Collects notices in one person's language."""

    def __init__(self, language: str | None) -> None:
        self._language = language if language is not None and language in _TEXTS else "en"
        self.notices: dict[str, Notice] = {}

    def add(self, key: str, level: NoticeLevel, **lists: list[str]) -> None:
        words = {name: self._list(items) for name, items in lists.items()}
        text = _TEXTS[self._language][key].format(**words, prefix=CHAT_PREFIX)
        self.notices[key] = Notice(id=key, level=level, text=text, language=self._language)

    def label(self, key: str, level: NoticeLevel, texts: Mapping[str, str]) -> None:
        """A text that comes in several languages, as a sentence."""
        text = text_for(self._language, texts)
        sentence = f"{text[:1].upper()}{text[1:]}."
        language = next((tag for tag, one in texts.items() if one == text), "")
        self.notices[key] = Notice(id=key, level=level, text=sentence, language=language)

    def ask_language(self, languages: Sequence[str]) -> None:
        """Asks somebody what they speak, in every language they may."""
        known = [language for language in languages if language in _TEXTS] or ["en"]
        lines = ", ".join(f"{CHAT_PREFIX} language {language}" for language in languages)
        text = " / ".join(_TEXTS[language]["language-unknown"].format(lines=lines) for language in known)
        self.notices["language-unknown"] = Notice(
            id="language-unknown", level=NoticeLevel.WARNING, text=text, language=known[0]
        )

    @property
    def somebody(self) -> str:
        """Who has no name."""
        return _TEXTS[self._language]["somebody"]

    def language_name(self, tag: str) -> str:
        return _LANGUAGE_NAMES[self._language].get(tag, tag)

    def _list(self, items: Iterable[str]) -> str:
        *first, last = sorted(items)
        return f"{', '.join(first)}{_TEXTS[self._language]['and']}{last}" if first else last
