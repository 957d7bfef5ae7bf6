"""Which records a search finds, over records as a list shows them."""

from typing import Any

import pytest

from services.gateway.dialects.vcc_live.answers import Wrong
from services.gateway.dialects.vcc_live.search import Records, needs_all, read_target
from services.gateway.subject_desk import SubjectView
from shared.contracts.subjects import CallOrigin, Status, Subject, SubjectDocument
from tests.support.centre import demo_tenant


def record(
    number: str,
    code: str | None = None,
    user_id: str | None = None,
    agent_id: str | None = None,
    **data: str,
) -> SubjectView:
    subject = Subject("record", number, "17")
    origin = None if agent_id is None else CallOrigin(call_id="c", agent_id=agent_id)
    status = Status(
        code=code,
        revision=1,
        decided_ms=0,
        request_id="r",
        dialect="test",
        user_id=user_id,
        origin=origin,
    )
    document = SubjectDocument(
        subject=subject.name, created_ms=0, known=True, status=status, data=data
    )
    return SubjectView(subject, document)


RECORDS = Records(
    [
        record("1", "Sale", "7", name="Green", city="Pecs"),
        record("2", "Sale", None, "agent-7", name="Green", city="Gyor", act_status="6"),
        record("3", "Referred", "1", name=" Brown "),
        record("4", None, "1"),
        record("5", "gone", "somebody"),
    ],
    demo_tenant(),
)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ({"act_status": "1"}, "12"),
        ({"act_status": 1}, "12"),
        ({"act_status": "01"}, "12"),
        ({"pref_userid": 7}, "12"),
        ({"pref_userid": "1", "act_status": "7"}, "3"),
        ({"name": "Green", "city": "Gyor"}, "2"),
        ({"name": "Brown"}, "3"),
        ({"numberid": "2", "name": "Green"}, "2"),
        ({"numberid": 99}, "99"),  # calls may have named it
        ([{"city": "Gyor"}, {"name": "Green"}], "21"),
        ([{"city": "nowhere"}, {"name": "Brown"}], "3"),
    ],
)
def test_a_search_finds_what_has_all_of_its_keys(search: Any, found: str) -> None:
    target = read_target({"search": search})
    assert not isinstance(target, str)
    ids = RECORDS.find(target)
    assert "".join(ids) == found


@pytest.mark.parametrize(
    ("search", "word"),
    [
        ({"act_status": "6"}, "error.record_not_found"),  # a data field stands for no status
        ({"act_status": True}, "error.record_not_found"),
        ({"act_status": None}, "error.record_not_found"),
        ({"pref_userid": "somebody"}, "error.record_not_found"),
        ({"name": "green"}, "error.record_not_found"),
        ({"numberid": "a/b"}, "error.record_not_found"),
        ({"numberid": "99", "name": "Green"}, "error.record_not_found"),
        ({"Name": "Green"}, "error.unknown_search_key"),
        ([{"name": "Green"}, {"colour": "red"}], "error.unknown_search_key"),
    ],
)
def test_a_search_that_finds_nothing_says_why(search: Any, word: str) -> None:
    target = read_target({"search": search})
    assert not isinstance(target, str)
    with pytest.raises(Wrong) as wrong:
        RECORDS.find(target)
    assert wrong.value.word == word


@pytest.mark.parametrize(
    ("search", "needed"),
    [
        ([{"numberid": "1"}, {"numberid": "2"}], False),
        ([{"numberid": "1"}, {"name": "Green"}], True),
        ([{"numberid": "1", "name": "Green"}], True),
    ],
)
def test_records_are_looked_through_only_where_ids_do_not_say_it_all(
    search: Any, *, needed: bool
) -> None:
    target = read_target({"search": search})
    assert not isinstance(target, str)
    assert needs_all(target) == needed
