"""The table of all routes."""

from typing import Final

from services.gateway.__main__ import DIALECTS, MORE
from services.gateway.app import TABLE, build_app
from tests.unit.services.gateway.floor import Floor

__all__ = ["DIALECTS", "TABLE_OF_ALL"]

TABLE_OF_ALL: Final = build_app(Floor().desk, dialects=DIALECTS, more=MORE)[TABLE]
