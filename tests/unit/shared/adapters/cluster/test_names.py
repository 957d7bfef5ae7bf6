"""Names on the broker, and the partition of a key."""

import pytest
from aiokafka.partitioner import DefaultPartitioner

from shared.adapters.cluster.names import ALL_TOPICS, Names, is_known
from shared.runtime.ports import TopicPartition


@pytest.mark.parametrize("partitions", [1, 3, 4, 7, 12, 64])
def test_a_key_goes_where_kafkas_own_clients_put_it(partitions: int) -> None:
    names, theirs = Names("", partitions), DefaultPartitioner()
    for number in range(200):
        key = f"demo:call-{number}☎"
        everywhere = list(range(partitions))
        assert names.partition(key) == theirs(key.encode(), everywhere, everywhere)


def test_names_go_there_and_back() -> None:
    names = Names("t1.", 2)
    place = TopicPartition("calls.changed", 1)
    assert names.theirs(place) == ("t1.calls.changed", 1)
    assert names.ours(names.theirs(place)) == place
    assert names.group("worker") == "t1.worker"
    assert names.places(["a", "b"]) == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]


def test_every_topic_has_one_for_its_dead_letters() -> None:
    told = [topic for topic in ALL_TOPICS if not topic.endswith(".dead")]
    assert sorted(ALL_TOPICS) == sorted([*told, *(f"{topic}.dead" for topic in told)])
    assert is_known("calls.changed")
    assert not is_known("t1.calls.changed")
