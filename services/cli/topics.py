"""`aftercall topics`: the topics on the broker of the cluster profile; made once, and listed."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from services.cli.clustered import Broker, broker, run
from services.cli.configured import settings
from services.cli.output import show_json, show_rows
from shared.contracts.topics import TOPICS, dead

if TYPE_CHECKING:
    from shared.adapters.cluster.topics_found import TopicFound

COLUMNS: Final = ("topic", "partitions", "replication", "carries")
MISSING: Final = "missing"

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Make the topics on the broker (cluster profile), and list them.",
)


@app.command()
def apply(
    partitions: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1024,
            help="Of every topic, for its whole life; AFTERCALL_TOPIC_PARTITIONS by default.",
        ),
    ] = None,
    replication: Annotated[
        int | None,
        typer.Option(
            min=1, max=9, help="Copies of every record; AFTERCALL_TOPIC_REPLICATION by default."
        ),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make the topics that are missing; those that are right stay as they are.

    A topic with another partition count, or that believes its writers' clocks, is refused: keys
    would change their places, or deadlines their times. Exit code 2: nothing was made.
    """
    where, configured = broker("topics apply"), settings()
    count, copies = partitions or configured.topic_partitions, replication
    made, fewest = run(_apply(where, count, copies or configured.topic_replication))
    if as_json:
        show_json({"made": made, "partitions": count, "replication": fewest})
        return
    for name in made:
        typer.echo(f"made {name}")
    typer.echo(f"{len(made)} made, {len(TOPICS) * 2} are there, {count} partitions each")
    if fewest < (copies or configured.topic_replication):
        typer.echo(
            f"of some there were {fewest} copies before, and still are; Kafka's own "
            "kafka-reassign-partitions adds copies"
        )


async def _apply(where: Broker, partitions: int, replication: int) -> tuple[list[str], int]:
    """What was made, and how many copies there are of the topic that has the fewest."""
    from shared.adapters.cluster.topics import apply_topics  # noqa: PLC0415 - not for `--help`

    made = await apply_topics(
        where.bootstrap, partitions=partitions, replication=replication, prefix=where.prefix
    )
    return made, min(topic.replication for topic in (await _found(where)).values())


@app.command("list")
def list_topics(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """List every topic, and whether it is there."""
    where = broker("topics list")
    show_rows(COLUMNS, rows(where.prefix, run(_found(where))), as_json=as_json)


async def _found(where: Broker) -> "dict[str, TopicFound]":
    from shared.adapters.cluster.topics_found import found_topics  # noqa: PLC0415 - as above

    return await found_topics(where.bootstrap, where.prefix)


def rows(prefix: str, found: "dict[str, TopicFound]") -> list[dict[str, Any]]:
    """One row a topic, those that are missing too."""
    carried = {name: topic.carries for name, topic in TOPICS.items()}
    carried |= {dead(name): f"what could not be processed of {name}" for name in TOPICS}
    return [
        {
            "topic": prefix + name,
            "partitions": found[name].partitions if name in found else MISSING,
            "replication": found[name].replication if name in found else MISSING,
            "carries": carries,
        }
        for name, carries in carried.items()
    ]
