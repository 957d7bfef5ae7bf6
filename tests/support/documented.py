"""What /openapi.json says of an answer: looked up by method, path and status, held against it."""

import json
from email.message import Message
from typing import Any, Final

import jsonschema
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from services.gateway.openapi import openapi, template


class Documents:
    """The document of an application, and which of its operations a request is for."""

    def __init__(self, app: web.Application, table: web.AppKey[Any]) -> None:
        self.app: Final = app
        self.document: Final = openapi(app[table])

    def named(self, operation_id: str) -> dict[str, Any]:
        """The operation of this id."""
        operations = (one for path in self.document["paths"].values() for one in path.values())
        found: dict[str, Any] = next(
            one for one in operations if one["operationId"] == operation_id
        )
        return found

    async def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """The operation; None where no route is."""
        match = await self.app.router.resolve(make_mocked_request(method, path))
        if match.http_exception is not None or match.route.resource is None:
            return None
        methods = self.document["paths"][template(match.route.resource.canonical)]
        found: dict[str, Any] | None = methods.get(method.lower())
        return found

    def check(
        self, operation: dict[str, Any], status: int, content_type: str | None, body: bytes
    ) -> None:
        """The answer is one of those documented.

        Raises:
            AssertionError: its status or its media type is not.
            jsonschema.ValidationError: its body is not.
        """
        name = operation["operationId"]
        assert str(status) in operation["responses"], (name, status, body)
        content = operation["responses"][str(status)].get("content", {})
        header = Message()
        header["Content-Type"] = content_type or "none"
        assert header.get_content_type() in content, (name, status, content_type)
        schema = content[header.get_content_type()].get("schema")
        if schema is not None and "contentSchema" in schema:
            schema = schema["contentSchema"]
        elif "json" not in header.get_content_type():
            return
        assert schema is not None, (name, status)
        whole = {**schema, "components": self.document["components"]}
        jsonschema.Draft202012Validator(whole).validate(json.loads(body))
