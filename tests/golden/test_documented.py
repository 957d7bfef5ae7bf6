"""Whatever a golden row shows, /openapi.json has documented: the status, the type, the body."""

import json
from functools import cache
from pathlib import Path
from typing import Final

import pytest
import yaml

from services.gateway.__main__ import DIALECTS, MORE
from services.gateway.app import TABLE, build_app
from tests.support.documented import Documents
from tests.unit.services.gateway.floor import Floor

CASES: Final = sorted(Path(__file__).parent.glob("*/*.yaml"))
NO_ROUTE: Final = {404, 405}


@cache
def documents() -> Documents:
    return Documents(build_app(Floor().desk, dialects=DIALECTS, more=MORE), TABLE)


@pytest.mark.asyncio
@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_row_is_documented(path: Path) -> None:
    case = yaml.safe_load(path.read_text("utf-8"))
    request, answer = case["request"], case["answer"]
    operation = await documents().operation(request["method"], request["path"])
    if operation is None:
        assert answer["status"] in NO_ROUTE
        return
    body = json.dumps(answer["json"]).encode()
    documents().check(operation, answer["status"], answer["content_type"], body)
