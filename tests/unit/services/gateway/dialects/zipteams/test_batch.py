"""What a batch of calls may carry beside its calls."""

from typing import Any

import pytest

from services.gateway.dialects.zipteams.answers import NotValid
from services.gateway.dialects.zipteams.batch import CUSTOM_FIELDS_MAX, METADATA_MAX, read_batch


def batch(**more: Any) -> dict[str, Any]:
    """One good call, and what is named."""
    item = {
        "call": {
            "id": "call-1",
            "recording_url": "https://example.com/1.mp3",
            "start_time": "2023-01-01T00:00:00Z",
            "end_time": "2023-01-01T00:05:00Z",
            "contact_number": "+12025550143",
        },
        "agent": {"id": "agent-1", "name": "Ada", "email": "ada@example.com"},
        "customer": {
            "id": "customer-1",
            "name": "Bo",
            "email": "bo@example.com",
            "disposition_status": "Sale",
        },
        "callback_url": "https://example.com/done",
        "metadata": {"source": "crm", "tries": 2},
    }
    return {"data": [item | more]}


def test_a_good_call_is_read_with_its_fields() -> None:
    (recorded,) = read_batch(batch(custom_fields=[{"internal_name": "tier", "value": "gold"}]))
    assert recorded.custom_fields == (("tier", "gold"),)


@pytest.mark.parametrize(
    ("name", "value", "field", "message"),
    [
        ("custom_fields", {}, "custom_fields", "must be an array"),
        ("custom_fields", [7], "custom_fields[0]", "must be an object"),
        ("custom_fields", [{}] * (CUSTOM_FIELDS_MAX + 1), "custom_fields", "no more than"),
        ("metadata", [], "metadata", "must be an object"),
        ("metadata", {"a": True}, "metadata", "must have strings or numbers"),
        ("metadata", dict.fromkeys(map(str, range(METADATA_MAX + 1)), 1), "metadata", "no more"),
    ],
)
def test_what_breaks_its_shape_is_named(name: str, value: Any, field: str, message: str) -> None:
    with pytest.raises(NotValid) as refused:
        read_batch(batch(**{name: value}))
    (issue,) = refused.value.issues
    assert issue["field"] == f"data[0].{field}"
    assert message in issue["message"]
