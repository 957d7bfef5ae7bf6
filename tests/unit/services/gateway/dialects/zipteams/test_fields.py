"""Texts at the edge of their rules."""

import pytest

from services.gateway.dialects.zipteams import fields
from services.gateway.dialects.zipteams.fields import Issues, Rule


@pytest.mark.parametrize(
    ("rule", "text", "good"),
    [
        (fields.PHONE, "+12", True),
        (fields.PHONE, "+" + "1" * 15, True),
        (fields.PHONE, "+" + "1" * 16, False),
        (fields.PHONE, "+1", False),
        (fields.PHONE, "+0123456", False),
        (fields.PHONE, "+1234567890\n", False),
        (fields.PHONE, "+12345678\u0669\u0660", False),
        (fields.MOMENT, "2023-01-01T00:00:00Z", True),
        (fields.MOMENT, "2023-01-01t00:00:00.123z", True),
        (fields.MOMENT, "2023-01-01T00:00:00+00:00", True),
        (fields.MOMENT, "2024-12-31T23:59:60Z", True),
        (fields.MOMENT, "2023-01-01T00:00:00.0123456789012Z", True),
        (fields.MOMENT, "2023-01-01T00:00:00", False),
        (fields.MOMENT, "2023-01-01T00:00:00-05:00", False),
        (fields.MOMENT, "2023-02-30T00:00:00Z", False),
        (fields.MOMENT, "1969-12-31T23:59:59Z", False),
        (fields.MOMENT, "2023-01-01", False),
        (fields.URL, "http://example.com", True),
        (fields.URL, "https://[::1]/x", True),
        (fields.URL, "https://[::1/x", False),
        (fields.URL, "https://", False),
        (fields.URL, "ftp://example.com/x", False),
        (fields.URL, "https://example.com/a b", False),
        (fields.URL, "javascript:alert(1)", False),
        (fields.CALLBACK_URL, "https://example.com", True),
        (fields.CALLBACK_URL, "http://example.com", False),
        (fields.EMAIL, "a@example.com", True),
        (fields.EMAIL, "a@example", False),
        (fields.EMAIL, "@example.com", False),
        (fields.EMAIL, "a b@example.com", False),
        (fields.CALL_ID, "call:1", True),
        (fields.CALL_ID, "record:1", False),
        (fields.CALL_ID, "x" * 128, True),
        (fields.CALL_ID, "x" * 129, False),
        (fields.KNOWN_ID, "customer:1", True),
        (fields.KNOWN_ID, "é", False),
        (fields.STATUS, "x" * 256, True),
        (fields.STATUS, "x" * 257, False),
    ],
)
def test_a_text_fits_its_rule_or_is_told(rule: Rule, text: str, *, good: bool) -> None:
    issues = Issues()
    read = issues.text({"a": text}, "at.", "a", rule)
    assert (read, len(issues.found)) == ((text, 0) if good else ("", 1))
    if not good:
        assert issues.found[0]["field"] == "at.a"
        assert issues.found[0]["message"].startswith("a must be ")
        assert text not in issues.found[0]["message"]
