"""Where a meeting's commands arrive: carried out, counted, written down, and remembered for another process. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from interpreter.commands.commands import Actor, Invocation, invoke
from interpreter.commands.control import Answer, Control, Stage, refused
from interpreter.commands.memory import Memory
from interpreter.commands.orders import Orders
from interpreter.commands.revisions import Revisions
from interpreter.errors import BadArgument, CommandError, NothingExpected, StaleEdit
from interpreter.record.record import Record
from interpreter.roles.library import RoleLibrary


class CommandDesk:
    """The commands of one meeting, which brings itself up to the changed orders afterwards.

    Args:
        meeting: that commands act on.
        orders: that they change.
        library: roles that may be chosen.
        record: where commands are written down.
        memory: of the meeting, which a former process may have left; what was chosen then is put into the orders.
    """

    def __init__(
        self, meeting: Stage, orders: Orders, *, library: RoleLibrary, record: Record, memory: Memory
    ) -> None:
        self._meeting = meeting
        self._orders = orders
        self._library = library
        self._record = record
        self._memory = memory
        self._revisions = Revisions()
        self._control = Control(orders, library, meeting)
        memory.restore(orders, library)

    @property
    def revision(self) -> int:
        """How often what was asked for has changed."""
        return self._revisions.number

    def welcome(self, who: str, name: str) -> None:
        """Somebody came: what a former process remembers of whoever calls themselves so is put into the orders."""
        self._memory.restore_person(self._orders, who, name, self._library)

    def carry_out(self, invocation: Invocation) -> Answer:
        """Does what somebody asks."""
        answer = self._try(invocation)
        if answer.accepted:
            self._remember(invocation)
        return answer

    def carry_out_together(
        self,
        asked: Sequence[tuple[str, Mapping[str, object]]],
        actor: Actor,
        expect: int | None,
        language: str | None,
    ) -> Answer:
        """Does what somebody at a console asks, all of it or nothing; see `Interpretation.order`.

        Raises:
            CommandError: a command is none, not theirs, or about what was changed since; nothing was done, and whoever
                asks has it written down.
        """
        invocations = [
            replace(invoke(name, arguments, actor, self._meeting.people), language=language)
            for name, arguments in asked
        ]
        for invocation in invocations:
            if len(invocations) > 1 and not invocation.spec.at_silence:
                raise BadArgument(
                    f"expected commands that wait for a silence together, got `{invocation.spec.name}`"
                )
            self._check_seen(invocation, expect)
        # A mode may be announced at once, and what was said cannot be taken back: so it comes last.
        invocations.sort(key=lambda one: one.spec.name == "mode")
        cast, languages = self._orders.cast, dict(self._orders.languages)
        answers = []
        for invocation in invocations:
            answers.append(self._try(invocation))
            if not answers[-1].accepted:
                self._orders.cast, self._orders.languages = cast, languages
                return answers[-1]
        for invocation in invocations:
            self._remember(invocation)
        return replace(answers[-1], text=" ".join(one.text for one in answers))

    def refuse(self, actor: Actor, error: CommandError, name: str, typed_in: str | None = None) -> Answer:
        """What somebody is told whose command is not one, or not theirs to give.

        Args:
            actor: who gave it.
            error: what is wrong with it.
            name: of the command as it was given, untrusted.
            typed_in: language of that name, for whoever's own is not known.
        """
        self._record.event("command.refused", actor=actor)
        language = self._meeting.languages.get(actor.participant_id or "")
        return refused(error, name, language or typed_in)

    def _try(self, invocation: Invocation) -> Answer:
        """Carries a command out, or is told why not, and writes down which."""
        self._record.command(invocation)
        answer = self._control.carry_out(invocation)
        if not answer.accepted:
            self._record.event("command.refused", actor=invocation.actor)
        return answer

    def _remember(self, invocation: Invocation) -> None:
        """What was carried out counts as a change, and is left to another process."""
        self._revisions.note(invocation)
        self._memory.take(self._orders, self._meeting.people)
        self._memory.over = self._memory.over or invocation.spec.name == "close"

    def _check_seen(self, invocation: Invocation, expect: int | None) -> None:
        """Refuses to change what its giver has not seen as it is."""
        if not invocation.spec.guarded:
            return
        if expect is None:
            raise NothingExpected(f"expected the meeting's revision for `{invocation.spec.name}`, got none")
        newest = self._revisions.newest(invocation, expect)
        if newest is not None:
            raise StaleEdit(
                f"expected `{invocation.spec.name}` as of revision {expect}, got a change by {newest.by} since"
            )
