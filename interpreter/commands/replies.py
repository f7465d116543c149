"""What somebody is answered who gave a command, in their language. Pure; a further language is a further column."""

from __future__ import annotations

from collections.abc import Mapping

from interpreter.commands.commands import usage
from interpreter.commands.table import CommandSpec
from interpreter.errors import BadArgument, CommandError, NotAllowed, StaleEdit, UnknownCommand

_REPLIES: Mapping[str, Mapping[str, str]] = {
    "en": {
        "optout": "Your microphone is no longer processed. The others hear you as you are.",
        "optin": "Your microphone is processed again.",
        "language": "From the next silence on you speak and hear {language}.",
        "language-other": "From the next silence on {person} speaks and hears {language}.",
        "repeat": "The interpreter says it again.",
        "nothing-to-repeat": "There is nothing to repeat yet.",
        "human": "A human interpreter has been asked for.",
        "stop": "You are no longer interpreted, and hear everybody directly.",
        "stop-channel": "You are no longer interpreted. Lower the interpreter in your own client to hear less of it.",
        "stop-other": "{person} is no longer interpreted, and hears everybody directly.",
        "stop-all": "Nobody is interpreted any more.",
        "start": "You are interpreted again.",
        "start-other": "{person} is interpreted again.",
        "start-all": "Everybody is interpreted again.",
        "balance": "Noted.",
        "no-own-mix": "Here everybody hears the interpreter alike; lower or mute it in your own client.",
        "no-own-captions": "Here captions are for everybody; whoever set the interpreter up chooses them.",
        "original-on": "You hear the original voices alone.",
        "original-off": "You hear the interpreter again.",
        "captions-on": "Captions are on.",
        "captions-off": "Captions are off.",
        "halt": "The interpreter is silent.",
        "pause": "The interpreter pauses.",
        "resume": "The interpreter goes on.",
        "mode": "From the next silence on: {mode}.",
        "role": "From the next silence on: {role}.",
        "voice": "From the next silence on: the voice {voice}.",
        "hold": "{direction} is held back.",
        "release": "{direction} is no longer held back.",
        "not-held": "{direction} was not held back.",
        "mute-direction": "{direction} can only be read.",
        "unmute-direction": "{direction} can be heard again.",
        "not-muted-direction": "{direction} was not muted.",
        "mute": "The interpreter no longer listens to {person}.",
        "unmute": "The interpreter listens to {person} again.",
        "unmute-opted-out": "{person} has opted out, and only they can opt in again.",
        "asked": "The interpreter asks.",
        "swap": "The languages are exchanged.",
        "cannot-swap": "Two languages are needed to exchange them; there are {count}.",
        "handover": "A human has taken over; the interpreter only writes.",
        "handback": "The interpreter goes on.",
        "duck": "Noted.",
        "priority": "Noted.",
        "no-priority": "Here everybody hears the interpreter in one language: there is nothing to put in front.",
        "notice": "The notice is read.",
        "glossary-add": "Noted.",
        "close": "The interpretation has ended.",
        "note": "Noted.",
        "no-such-notice": "The role {role} has no such notice.",
        "at-console": "This command is given at the console.",
        "export": "Here it is.",
        "export-nothing": "Nothing of that kind is kept of this meeting.",
        "preview-voice": "Here is a sample of {voice}.",
        "no-sample": "There is no sample of {voice}: no engine can speak it now.",
        "invite": "Here is the room's link.",
        "no-invite": "This room has no link of ours to give out.",
        "verify-whole": "The signed records are as they were written.",
        "verify-failed": "The signed records are not as they were written.",
        "verify-nothing": "There are no signed records of this meeting.",
        "join": "The interpreter goes into the room.",
        "no-join": "This process goes into no further rooms.",
        "not-joined": "The interpreter could not go into the room: {reason}",
        "leave": "The interpreter leaves the room.",
        "no-leave": "The interpreter cannot leave this room by itself.",
        "scenario": "The scenario is being run.",
        "no-scenarios": "There are no scenarios to run here.",
        "unknown-role": "There is no role {role}; there are: {roles}.",
        "unknown-voice": "There is no voice {voice}; there are: {voices}.",
        "who": "{people}. Interpreter: {role}, {checksum}. Interpreted: {directions}.",
        "nothing-interpreted": "nothing",
        "stored-nothing": "Nothing of this meeting is kept.",
        "stored": "Kept of this meeting: {stored}.",
        "stored-transcript": "its text",
        "stored-audio": "its sound",
        "stored-identity": "signed fingerprints of what the interpreter says",
        "stored-audit": "who gave which command",
        "help": "Commands: {commands}.",
        "simultaneous": "interpreting while people speak",
        "consecutive": "interpreting after each turn",
        "captions": "captions alone",
    },
    "es": {
        "optout": "Su micrófono ya no se procesa. Los demás le oyen tal cual.",
        "optin": "Su micrófono se procesa de nuevo.",
        "language": "A partir del próximo silencio habla y oye en {language}.",
        "language-other": "A partir del próximo silencio {person} habla y oye en {language}.",
        "repeat": "El intérprete lo dice otra vez.",
        "nothing-to-repeat": "Todavía no hay nada que repetir.",
        "human": "Se ha pedido un intérprete humano.",
        "stop": "Ya no se le interpreta, y oye a todos directamente.",
        "stop-channel": "Ya no se le interpreta. Baje el volumen del intérprete en su aplicación para oírlo menos.",
        "stop-other": "Ya no se interpreta a {person}, y oye a todos directamente.",
        "stop-all": "Ya no se interpreta a nadie.",
        "start": "Se le interpreta de nuevo.",
        "start-other": "Se interpreta de nuevo a {person}.",
        "start-all": "Se interpreta a todos de nuevo.",
        "balance": "Anotado.",
        "no-own-mix": "Aquí todos oyen igual al intérprete; bájelo o siléncielo en su propia aplicación.",
        "no-own-captions": "Aquí los subtítulos son para todos; los elige quien instaló el intérprete.",
        "original-on": "Oye solo las voces originales.",
        "original-off": "Oye de nuevo al intérprete.",
        "captions-on": "Los subtítulos están activados.",
        "captions-off": "Los subtítulos están desactivados.",
        "halt": "El intérprete calla.",
        "pause": "El intérprete hace una pausa.",
        "resume": "El intérprete continúa.",
        "mode": "A partir del próximo silencio: {mode}.",
        "role": "A partir del próximo silencio: {role}.",
        "voice": "A partir del próximo silencio: la voz {voice}.",
        "hold": "{direction} queda retenido.",
        "release": "{direction} ya no está retenido.",
        "not-held": "{direction} no estaba retenido.",
        "mute-direction": "{direction} solo se puede leer.",
        "unmute-direction": "{direction} se oye de nuevo.",
        "not-muted-direction": "{direction} no estaba silenciado.",
        "mute": "El intérprete ya no escucha a {person}.",
        "unmute": "El intérprete escucha de nuevo a {person}.",
        "unmute-opted-out": "{person} se ha excluido, y solo esa persona puede volver a entrar.",
        "asked": "El intérprete lo pide.",
        "swap": "Los idiomas se han intercambiado.",
        "cannot-swap": "Hacen falta dos idiomas para intercambiarlos; hay {count}.",
        "handover": "Una persona se ha hecho cargo; el intérprete solo escribe.",
        "handback": "El intérprete continúa.",
        "duck": "Anotado.",
        "priority": "Anotado.",
        "no-priority": "Aquí cada uno oye al intérprete en un solo idioma: no hay nada que poner por delante.",
        "notice": "Se lee el aviso.",
        "glossary-add": "Anotado.",
        "close": "La interpretación ha terminado.",
        "note": "Anotado.",
        "no-such-notice": "El papel {role} no tiene ese aviso.",
        "at-console": "Esta orden se da en la consola.",
        "export": "Aquí está.",
        "export-nothing": "No se guarda nada de ese tipo de esta reunión.",
        "preview-voice": "Esta es una muestra de {voice}.",
        "no-sample": "No hay muestra de {voice}: ahora ningún motor puede hablar con ella.",
        "invite": "Este es el enlace de la sala.",
        "no-invite": "Esta sala no tiene un enlace nuestro que dar.",
        "verify-whole": "Los registros firmados están como se escribieron.",
        "verify-failed": "Los registros firmados no están como se escribieron.",
        "verify-nothing": "No hay registros firmados de esta reunión.",
        "join": "El intérprete entra en la sala.",
        "no-join": "Este proceso no entra en más salas.",
        "not-joined": "El intérprete no pudo entrar en la sala: {reason}",
        "leave": "El intérprete sale de la sala.",
        "no-leave": "El intérprete no puede salir de esta sala por sí mismo.",
        "scenario": "El escenario está en marcha.",
        "no-scenarios": "Aquí no hay escenarios que ejecutar.",
        "unknown-role": "No existe el papel {role}; existen: {roles}.",
        "unknown-voice": "No existe la voz {voice}; existen: {voices}.",
        "who": "{people}. Intérprete: {role}, {checksum}. Se interpreta: {directions}.",
        "nothing-interpreted": "nada",
        "stored-nothing": "No se guarda nada de esta reunión.",
        "stored": "De esta reunión se guarda: {stored}.",
        "stored-transcript": "el texto",
        "stored-audio": "el sonido",
        "stored-identity": "huellas firmadas de lo que dice el intérprete",
        "stored-audit": "quién dio qué orden",
        "help": "Órdenes: {commands}.",
        "simultaneous": "interpretar mientras se habla",
        "consecutive": "interpretar después de cada turno",
        "captions": "solo subtítulos",
    },
}

_REFUSALS: Mapping[str, Mapping[type[CommandError], str]] = {
    "es": {
        UnknownCommand: "Esa orden no existe; «!interp ayuda» dice cuáles hay.",
        NotAllowed: "La orden «{name}» la da quien dirige la reunión o la propia persona.",
        BadArgument: "A la orden «{name}» le falta algo, o no se entiende. Se escribe así: {usage}",
        StaleEdit: "Mientras tanto otra persona lo ha cambiado. Mire de nuevo antes de cambiarlo.",
    }
}
"""What errors mean, in the languages that are not their own, which is English."""


def reply(language: str | None, key: str, /, **words: object) -> str:
    """The reply `key` in a language, English where there is none in it."""
    return _REPLIES[reply_language(language)][key].format(**words)


def refusal(language: str | None, error: CommandError, spec: CommandSpec | None) -> str:
    """Why a command is not carried out.

    Args:
        language: of who gave it, None where unknown.
        error: of `commands.invoke`; its own words know the detail.
        spec: of the command; None where there is none of its name.
    """
    words = _REFUSALS.get(reply_language(language), {}).get(type(error))
    if words is None:
        return str(error)
    return words if spec is None else words.format(name=spec.name, usage=usage(spec))


def reply_language(language: str | None) -> str:
    """The language in which somebody is answered."""
    return language if language is not None and language in _REPLIES else "en"
