"""The description of the HTTP interface: valid OpenAPI 3.1, and true."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from interpreter.commands.table import COMMANDS
from interpreter.console.openapi import STATUS, describe_api
from tests.interpreter.console.console_stage import OPERATOR, console
from tests.interpreter.meeting.test_meeting_commands import example
from tests.interpreter.meeting_stage import ANA_HZ, BEN_HZ

API = describe_api("1.2.3")


@pytest.mark.slow
def test_it_is_valid() -> None:
    OpenAPIV31SpecValidator(API).validate()  # type: ignore[arg-type]


def test_it_has_every_command_once_with_its_arguments() -> None:
    operations: dict[str, dict[str, Any]] = {
        path: item["post"] for path, item in API["paths"].items() if "/commands/" in path
    }
    assert {path.rpartition("/")[2] for path in operations} == set(COMMANDS)
    for path, operation in operations.items():
        spec = COMMANDS[path.rpartition("/")[2]]
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        assert ("{room}" in path) is spec.about_room
        assert operation["summary"] == spec.summary
        assert operation["x-standing"] == spec.who.words
        assert ("expect" in body["required"]) is spec.guarded
        assert {argument.name for argument in spec.arguments} <= body["properties"]["arguments"][
            "properties"
        ].keys()
    ids = [
        one["operationId"] for item in API["paths"].values() for one in item.values() if isinstance(one, dict)
    ]
    assert len(set(ids)) == len(ids)


def schema_of(path: str, status: int) -> dict[str, Any]:
    content = API["paths"][path]["post"]["responses"][str(status)]["content"]["application/json"]["schema"]
    return {**content, "components": API["components"]}


@pytest.mark.parametrize(
    "spec", [spec for spec in COMMANDS.values() if spec.about_room], ids=lambda one: one.name
)
async def test_what_a_call_answers_is_as_described(spec: Any) -> None:
    async with console(voices={"clara": "ab" * 32}, voice_prompt=True) as at:
        at.stage.join("ana", "es", ANA_HZ)
        at.stage.join("ben", "en", BEN_HZ)
        await at.stage.ticks(3)
        body: dict[str, Any] = {"arguments": {**example(spec)}}
        if spec.guarded:
            body["expect"] = 0
        path = f"/api/rooms/{{room}}/commands/{spec.name}"
        described = API["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        jsonschema.validate(body, described)
        status, reply, _ = await at.call("POST", path.format(room=at.room.id), OPERATOR, body)
        assert status == STATUS[reply["code"]]
        jsonschema.validate(reply, schema_of(path, status))


async def test_it_is_served_and_its_calls_are_there() -> None:
    async with console() as at:
        status, served, _ = await at.call("GET", "/api/openapi.json")
        assert (status, served) == (200, API)
        for path, item in API["paths"].items():
            for method in item.keys() & {"get", "post"}:
                address = path.format(room=at.room.id)
                status, reply, _ = await at.call(
                    method.upper(), address, OPERATOR, {} if method == "post" else None
                )
                assert status != 405, path
                assert not (status == 404 and reply.get("code") == "no-page"), path
                status, reply, _ = await at.call(method.upper(), address, None)
                assert (status, reply["code"]) == (401, "unauthorized"), path
