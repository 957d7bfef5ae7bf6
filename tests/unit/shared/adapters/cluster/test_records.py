"""A foreign record, taken as near to what it is as ours can be."""

from aiokafka import ConsumerRecord

from shared.adapters.cluster.records import to_record
from shared.contracts.envelope import Record


def found(**given: object) -> ConsumerRecord[bytes, bytes]:
    fields: dict[str, object] = {
        "topic": "t1.calls.changed",
        "partition": 2,
        "offset": 7,
        "timestamp": 5,
        "timestamp_type": 1,
        "key": b"k",
        "value": b"v",
        "checksum": None,
        "serialized_key_size": 1,
        "serialized_value_size": 1,
        "headers": (("a", b"1"), ("a", b"2")),
    }
    return ConsumerRecord(**{**fields, **given})


def test_a_record_of_ours_is_whole() -> None:
    headers = (("a", b"1"), ("a", b"2"))
    expected = Record("calls.changed", 2, 7, 5, "k", headers, b"v")
    assert to_record("calls.changed", found()) == expected


def test_what_is_missing_is_empty() -> None:
    record = to_record("calls.changed", found(key=None, value=None, headers=(("a", None),)))
    assert (record.key, record.value, record.headers) == ("", b"", (("a", b""),))


def test_a_key_that_is_no_text_can_still_be_written_again() -> None:
    record = to_record("calls.changed", found(key=b"demo:\xff"))
    assert record.key.encode().decode() == record.key == "demo:\ufffd"
