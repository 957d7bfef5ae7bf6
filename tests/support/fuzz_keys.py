"""Loaded by schemathesis: another key with each request, where a vendor counts them by the minute.

One key would be served for a second, and all the rest would be "too many".
"""

from itertools import count
from typing import Any, Final

import schemathesis

KEYS: Final = 400
_numbers: Final = count()


class _Another:
    def get(self, _: "schemathesis.Case[Any]", __: schemathesis.AuthContext) -> int:
        return next(_numbers) % KEYS


@schemathesis.auth(refresh_interval=None).apply_to(path_regex="^/v2/customers")
class CareCycleKeys(_Another):
    """As many keys as `tests/e2e/test_documents_hold.py` has put into the tenants file."""

    def set(self, case: "schemathesis.Case[Any]", data: int, _: schemathesis.AuthContext) -> None:
        headers: Any = case.headers
        headers["x-api-key"] = f"cc_fuzz_{data}"


@schemathesis.auth(refresh_interval=None).apply_to(path_regex="/partner/")
class ZipteamsKeys(_Another):
    """The same."""

    def set(self, case: "schemathesis.Case[Any]", data: int, _: schemathesis.AuthContext) -> None:
        headers: Any = case.headers
        headers["x-api-key"] = f"zip-fuzz-{data}"
