"""The description of the console's HTTP interface, made from the command table (OpenAPI 3.1). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from interpreter.commands.commands import argument_schema
from interpreter.commands.table import COMMANDS, CommandSpec
from interpreter.console.protocol import MAX_COMMANDS

STATUS: Mapping[str, int] = {
    "done": 200,
    "malformed": 400,
    "bad-argument": 400,
    "unauthorized": 401,
    "not-allowed": 403,
    "unknown-command": 404,
    "no-room": 404,
    "no-page": 404,
    "refused": 409,
    "stale": 412,
    "too-large": 413,
    "expect-needed": 428,
    "too-many": 429,
    "unavailable": 503,
}
"""Code of a reply -> status of the response (RFC 9110, RFC 6585)."""

_ROOM: Mapping[str, Any] = {
    "name": "room",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[0-9a-f]{1,32}$"},
}
_EXPECT: Mapping[str, Any] = {
    "type": "integer",
    "minimum": 0,
    "description": "the room's revision that whoever asks was looking at",
}
_STATE: Mapping[str, Any] = {"type": "object", "description": "see docs/console-protocol.md"}


def describe_api(version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document.

    Args:
        version: of the package.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Meeting interpreter: operator console",
            "version": version,
            "description": "Rooms that are interpreted in, and the commands of the one command table.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}],
        "paths": {**_own_paths(), **_command_paths()},
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Reply": _reply_schema()},
        },
    }


def _own_paths() -> dict[str, Any]:
    return {
        "/api/tickets": {"post": _operation("newTicket", "A ticket for one WebSocket.", _ticket(), 201)},
        "/api/me": {"get": _operation("whoAmI", "Whose token this is, and the commands for them.", _STATE)},
        "/api/openapi.json": {"get": _operation("describeApi", "This document.", _STATE)},
        "/api/house": {"get": _operation("seeHouse", "All rooms in short, engines and cost.", _STATE)},
        "/api/system": {"get": _operation("seeSystem", "Machine, memory, engines, keys, cost.", _STATE)},
        "/api/rooms/{room}": {
            "parameters": [_ROOM],
            "get": _operation("seeRoom", "One room in full.", _STATE),
        },
        "/api/rooms/{room}/notes": {
            "parameters": [_ROOM],
            "get": _operation("seeNotes", "The notes of a room, for operators.", _STATE),
        },
        "/api/rooms/{room}/apply": {"parameters": [_ROOM], "post": _apply()},
    }


def _command_paths() -> dict[str, Any]:
    return {_path_of(spec): _command(spec) for spec in COMMANDS.values()}


def _path_of(spec: CommandSpec) -> str:
    return f"/api{'/rooms/{room}' if spec.about_room else ''}/commands/{spec.name}"


def _command(spec: CommandSpec) -> dict[str, Any]:
    arguments = argument_schema(spec)
    required = ["arguments"] if arguments["required"] else []
    body = {
        "type": "object",
        "properties": {"arguments": arguments, "expect": _EXPECT},
        "required": required + (["expect"] if spec.guarded else []),
        "additionalProperties": False,
    }
    operation = _replying(_camel(spec.name), spec.summary, body, needed=bool(body["required"]))
    operation["description"] = f"For {spec.who.words}s and those above them." + (
        " Takes effect at the next silence." if spec.at_silence else ""
    )
    operation["x-standing"] = spec.who.words
    return {"parameters": [_ROOM], "post": operation} if spec.about_room else {"post": operation}


def _apply() -> dict[str, Any]:
    one = {
        "type": "object",
        "properties": {
            "name": {"enum": [spec.name for spec in COMMANDS.values() if spec.at_silence]},
            "arguments": {"type": "object"},
        },
        "required": ["name"],
        "additionalProperties": False,
    }
    body = {
        "type": "object",
        "properties": {
            "commands": {"type": "array", "items": one, "minItems": 1, "maxItems": MAX_COMMANDS},
            "expect": _EXPECT,
        },
        "required": ["commands", "expect"],
        "additionalProperties": False,
    }
    return _replying("apply", "Several commands that wait for a silence: all of them, or none.", body)


def _replying(
    operation_id: str, summary: str, body: Mapping[str, Any], needed: bool = True
) -> dict[str, Any]:
    reply = {"$ref": "#/components/schemas/Reply"}
    made = _operation(operation_id, summary, reply)
    made["requestBody"] = {"required": needed, "content": {"application/json": {"schema": body}}}
    for status in sorted({status for code, status in STATUS.items() if status >= 400}):
        codes = ", ".join(code for code, one in STATUS.items() if one == status)
        made["responses"][str(status)] = _response(codes, reply)
    return made


def _operation(
    operation_id: str, summary: str, schema: Mapping[str, Any], status: int = 200
) -> dict[str, Any]:
    return {
        "operationId": operation_id,
        "summary": summary,
        "responses": {
            str(status): _response("done", schema),
            "401": _response("unauthorized", {"$ref": "#/components/schemas/Reply"}),
        },
    }


def _response(description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _ticket() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"ticket": {"type": "string"}, "expires_in_s": {"type": "number"}},
        "required": ["ticket", "expires_in_s"],
    }


def _reply_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "accepted": {"type": "boolean"},
            "code": {"enum": list(STATUS)},
            "text": {"type": "string", "description": "for people; never markup"},
            "language": {"type": "string", "description": "of the text, BCP 47"},
            "revision": {"type": "integer", "description": "of the room, afterwards"},
            "result": {
                "type": "object",
                "description": "what was asked for: a file, a sound, a link, a verdict",
            },
        },
        "required": ["accepted", "code", "text", "language"],
    }


def _camel(name: str) -> str:
    first, *rest = name.split("-")
    return first + "".join(word.capitalize() for word in rest)
