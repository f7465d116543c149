"""Opens the console of a command: its desk, and its server where one is wanted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from importlib.metadata import entry_points
from time import time

from duplex_model.contract import Engine
from interpreter.clock import Clock
from interpreter.config.engines import Say
from interpreter.console.desk import Desk, DeskSettings
from interpreter.console.pages import PAGES_GROUP, found_pages
from interpreter.console.server import ConsoleServer
from interpreter.console.settings import ConsolePlan
from interpreter.console.system import system_facts
from interpreter.errors import ConfigError


@asynccontextmanager
async def opened_console(
    plan: ConsolePlan | None, settings: DeskSettings, engines: Mapping[str, Engine], clock: Clock, say: Say
) -> AsyncIterator[Desk]:
    """The desk of a process; its server is there while entered, and its address was said.

    Args:
        plan: how to serve it; None serves nothing.
        settings: of the desk.
        engines: by name.
        clock: of the meetings.
        say: gets the address; a link with a token where one was made for it.

    Raises:
        ConfigError: the address cannot be served on.
    """
    pages = {} if plan is None else found_pages(entry_points(group=PAGES_GROUP))
    desk = Desk(settings, engines, now_s=clock.now_s, wall_s=time, pages=pages)
    if plan is None:
        yield desk
        return
    async with AsyncExitStack() as stack:
        server = await _entered(stack, plan, desk)
        if plan.made is not None:
            say(f"Whoever runs the interpreter opens {server.link(plan.made)}")
        else:
            names = ", ".join(one.name for one in plan.settings.passes)
            say(f"The console is at {server.url}/#token=TOKEN, each with their own token: {names}")
        yield desk


async def _entered(stack: AsyncExitStack, plan: ConsolePlan, desk: Desk) -> ConsoleServer:
    try:
        return await stack.enter_async_context(ConsoleServer(plan.settings, desk, system_facts))
    except ConfigError:
        if not plan.any_port:
            raise
    elsewhere = replace(plan.settings, port=0)
    return await stack.enter_async_context(ConsoleServer(elsewhere, desk, system_facts))
