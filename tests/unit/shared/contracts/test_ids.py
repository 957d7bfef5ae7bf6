import pytest

from shared.contracts.errors import Poison
from shared.contracts.ids import call_key, is_id, is_tenant_id, split_key
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


@pytest.mark.parametrize("bad", ["", "demo", "demo:", ":c1", "a b:c1", "demo:c/1"])
def test_keys_that_are_no_keys(bad: str) -> None:
    with pytest.raises(Poison, match="bad_key"):
        split_key(bad)
