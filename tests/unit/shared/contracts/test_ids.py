import pytest

from shared.contracts.errors import Poison
from shared.contracts.ids import (
    call_key,
    is_call_id,
    is_id,
    is_subject_name,
    is_tenant_id,
    split_key,
)
from shared.contracts.limits import ID_CHARS_MAX


@pytest.mark.parametrize("good", ["a", "A.b_c:d-9", "0071027198180006", "x" * ID_CHARS_MAX])
def test_ids_that_may_pass(good: str) -> None:
    assert is_id(good)


@pytest.mark.parametrize(
    "bad",
    ["", "x" * (ID_CHARS_MAX + 1), "a b", "a/b", "a\n", "\x00", "ä", "a@b", "$where", None, 7, {}],
)
def test_ids_that_may_not(bad: object) -> None:
    assert not is_id(bad)


@pytest.mark.parametrize("bad", ["", "a:b", "a\n", "x" * 65, "ä", 1, None])
def test_tenants_hold_no_colon_for_it_ends_them_in_a_key(bad: object) -> None:
    assert not is_tenant_id(bad)


def test_a_key_can_be_taken_apart_again() -> None:
    assert split_key(call_key("demo", "c:1")) == ("demo", "c:1")


@pytest.mark.parametrize("bad", ["", "demo", "demo:", ":c1", "a b:c1", "demo:c/1", "demo:record:"])
def test_keys_that_are_no_keys(bad: str) -> None:
    with pytest.raises(Poison, match="bad_key"):
        split_key(bad)


@pytest.mark.parametrize("reserved", ["customer:7", "record:1", "enrolment:c1", "customer:"])
def test_no_call_has_the_key_of_a_subject(reserved: str) -> None:
    assert is_id(reserved)
    assert not is_call_id(reserved)
    assert is_call_id(f"x{reserved}")


@pytest.mark.parametrize(
    "name", ["customer:7", "customer:main/7", "record:17/4711", "enrolment:c:1/x:2"]
)
def test_a_subject_has_a_key_like_a_call(name: str) -> None:
    assert is_subject_name(name)
    assert split_key(call_key("demo", name)) == ("demo", name)


@pytest.mark.parametrize(
    "bad",
    ["customer:", "customer:/7", "customer:a/", "customer:a/b/c", "enrolment:7", "agent:7", 7],
)
def test_names_that_name_no_subject(bad: object) -> None:
    assert not is_subject_name(bad)
