"""Pages of tests' own: an empty one, and modules that it imports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web


@asynccontextmanager
async def site(modules: Mapping[str, Path]) -> AsyncIterator[str]:
    """Serves an empty page and some modules; gives the site's address.

    Args:
        modules: path, such as `/callers.js` -> file.
    """

    async def page(request: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>test</title>", content_type="text/html")

    async def module(request: web.Request) -> web.FileResponse:
        return web.FileResponse(modules[request.path])

    app = web.Application()
    app.router.add_get("/", page)
    for path in modules:
        app.router.add_get(path, module)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
