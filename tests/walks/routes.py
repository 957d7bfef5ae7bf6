"""The table of all routes, of dialects that may be asked as often as one likes."""

from typing import Final

from services.gateway.__main__ import MORE
from services.gateway.app import TABLE, build_app
from services.gateway.dialects.carecycle import CareCycle
from services.gateway.dialects.genesys import Genesys
from services.gateway.dialects.ozonetel import Ozonetel
from services.gateway.dialects.vcc_live import VccLive
from services.gateway.dialects.zipteams import Zipteams
from tests.unit.services.gateway.floor import Floor

OFTEN: Final = 1_000_000
DIALECTS: Final = (
    Ozonetel(),
    Genesys(),
    CareCycle(per_minute=OFTEN),
    Zipteams(per_minute=OFTEN),
    VccLive(),
)
TABLE_OF_ALL: Final = build_app(Floor().desk, dialects=DIALECTS, more=MORE)[TABLE]
