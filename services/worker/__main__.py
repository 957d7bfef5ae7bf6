"""The worker put together: processor and history projection."""

from services.worker.history import HistoryProjection
from services.worker.topology import WorkerTopology
from shared.observability.metrics import Metrics
from shared.runtime.processor import Processor
from shared.runtime.profile import Profile


def processor(profile: Profile, metrics: Metrics) -> Processor:
    """The processor of `disposition.requests` and `calls.changed`."""
    return Processor(
        WorkerTopology(),
        event_log=profile.log,
        store=profile.store,
        commit=profile.commit,
        replies=profile.replies,
        observe=metrics.turn,
    )


def projection(profile: Profile) -> HistoryProjection:
    """The projection that history and reports are read from."""
    return HistoryProjection(profile.log, profile.history)
