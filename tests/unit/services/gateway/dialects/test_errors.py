"""What nobody meant to happen is said in the vendor's shape, under its own status."""

from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from services.gateway.__main__ import DIALECTS
from services.gateway.dialects.dialect import Dialect
from services.gateway.openapi import documented
from services.gateway.route import Body


def told() -> Iterator[tuple[Dialect, int, Body]]:
    """Every dialect with every refusal that one of its routes documents."""
    for dialect in DIALECTS:
        bodies = {
            status: body
            for route in dialect.routes
            for status, body in documented(route).items()
            if status >= 400
        }
        yield from ((dialect, status, body) for status, body in bodies.items())


@pytest.mark.parametrize(
    ("dialect", "status", "body"),
    [pytest.param(*one, id=f"{one[0].name} {one[1]}") for one in told()],
)
def test_every_refusal_has_the_shape_it_is_documented_with(
    dialect: Dialect, status: int, body: Body
) -> None:
    response = dialect.error(status, "why it is so")
    assert response.status == status
    assert isinstance(response.body, bytes)
    assert isinstance(body.model, type)
    assert issubclass(body.model, BaseModel)
    body.model.model_validate_json(response.body)
