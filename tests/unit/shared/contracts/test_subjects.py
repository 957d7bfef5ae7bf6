import pytest

from shared.contracts.errors import Poison
from shared.contracts.ids import is_subject_name
from shared.contracts.limits import ID_CHARS_MAX
from shared.contracts.subjects import (
    Subject,
    ids_of,
    is_subject,
    read_subject,
    subject_key,
    subjects_of,
)

SUBJECTS = [
    Subject("customer", "77"),
    Subject("customer", "a:b", "main"),
    Subject("record", "4711", "17"),
    Subject("record", "4711"),
    Subject("enrolment", "x" * ID_CHARS_MAX, "y" * ID_CHARS_MAX),
]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_name_is_read_as_it_was_written(subject: Subject) -> None:
    assert is_subject_name(subject.name)
    assert read_subject(subject.name) == subject
    assert subject_key("demo", subject) == f"demo:{subject.name}"


def test_a_subject_whose_ids_are_none_has_no_name_of_its_own() -> None:
    assert all(is_subject(subject) for subject in SUBJECTS)
    assert Subject("customer", "a/b").name == Subject("customer", "b", "a").name
    for wrong in (Subject("customer", "a/b"), Subject("enrolment", "7"), Subject("record", "")):
        assert not is_subject(wrong)


def test_two_subjects_never_share_a_name() -> None:
    """Whatever colons their ids hold."""
    ids = ("a", "b", "a:b", "b:a", "a:b:a")
    subjects = {Subject("enrolment", one, other) for one in ids for other in ids}
    assert len({subject.name for subject in subjects}) == len(ids) ** 2


@pytest.mark.parametrize("bad", ["", "customer", "customer:", "enrolment:7", "agent:7", "call-1"])
def test_what_names_no_subject_is_poison(bad: str) -> None:
    with pytest.raises(Poison, match="bad_key"):
        read_subject(bad)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, []),
        ({"customer_id": "7"}, ["customer:7"]),
        ({"campaign_id": "c"}, []),
        ({"customer_id": "7", "campaign_id": "c"}, ["customer:7", "enrolment:c/7"]),
        ({"record_id": "1", "project_id": "17"}, ["record:17/1"]),
        ({"record_id": "1"}, ["record:1"]),
    ],
)
def test_the_subjects_of_a_call(given: dict[str, str], names: list[str]) -> None:
    none = dict.fromkeys(("customer_id", "campaign_id", "project_id", "record_id"))
    assert [subject.name for subject in subjects_of(**{**none, **given})] == names


@pytest.mark.parametrize(
    ("subject", "fields"),
    [
        (Subject("customer", "7"), {"customer_id": "7"}),
        (Subject("customer", "7", "s"), {"customer_id": "7", "subtenant_id": "s"}),
        (Subject("enrolment", "7", "c"), {"customer_id": "7", "campaign_id": "c"}),
        (Subject("record", "7", "17"), {"record_id": "7", "project_id": "17"}),
    ],
)
def test_what_is_told_names_the_subject_by_its_ids(
    subject: Subject, fields: dict[str, str]
) -> None:
    assert ids_of(subject) == fields
