"""Which adapters a profile means. The only place that knows them, beside the tests."""

from services.settings import Settings, SettingsError
from shared.adapters.clock import SystemClock
from shared.adapters.cluster import ClusterRefused, open_cluster
from shared.adapters.embedded import open_embedded
from shared.contracts.errors import AftercallError
from shared.runtime.profile import Deliver, Profile


async def open_profile(settings: Settings) -> Profile:
    """The adapters of the profile that the settings name.

    Raises:
        SettingsError: the data directory is in use, or what is stored is not for this version.
        Unavailable: the broker or the store does not answer.
    """
    if settings.profile == "cluster":
        return await _open_cluster(settings)
    return await _open_embedded(settings)


async def _open_embedded(settings: Settings) -> Profile:
    clock = SystemClock()
    try:
        embedded = await open_embedded(settings.data_dir, clock)
    except AftercallError as error:  # in use, or not for this version
        raise SettingsError(f"AFTERCALL_DATA_DIR {error}") from None

    async def register(address: str, deliver: Deliver) -> None:
        embedded.replies.register(address, deliver)

    async def ping() -> None:
        await embedded.store.load("calls", [""])

    return Profile(
        clock=clock,
        log=embedded.log,
        store=embedded.store,
        history=embedded.history,
        letters=embedded.letters,
        overlays=embedded.overlays,
        commit=embedded.commit,
        replies=embedded.replies,
        register=register,
        ping=ping,
        prune=embedded.log.prune,
        close=embedded.close,
    )


async def _open_cluster(settings: Settings) -> Profile:
    clock = SystemClock()
    try:
        cluster = await open_cluster(
            settings.kafka_bootstrap or "",
            settings.mongo_url or "",
            clock,
            driver=settings.mongo_driver,
            prefix=settings.topic_prefix,
            instance=settings.instance,
        )
    except ClusterRefused as error:
        raise SettingsError(str(error)) from None
    return Profile(
        clock=clock,
        log=cluster.log,
        store=cluster.store,
        history=cluster.history,
        letters=cluster.letters,
        overlays=cluster.overlays,
        commit=cluster.commit,
        replies=cluster.replies,
        register=cluster.register,
        ping=cluster.ping,
        prune=_kept_by_the_broker,
        close=cluster.close,
    )


async def _kept_by_the_broker(_: int, __: int) -> int:
    return 0
