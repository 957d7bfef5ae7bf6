"""Which adapters a profile means. The only place that knows them, beside the tests."""

from services.settings import Settings, SettingsError
from shared.adapters.clock import SystemClock
from shared.adapters.embedded import open_embedded
from shared.runtime.profile import Profile


def check_profile(settings: Settings) -> None:
    """Refuse to keep data elsewhere than was asked for.

    Raises:
        SettingsError: this version does not have the profile.
    """
    if settings.profile != "embedded":
        raise SettingsError(f"AFTERCALL_PROFILE: {settings.profile} is not in this version")


async def open_profile(settings: Settings) -> Profile:
    """The adapters of the profile that the settings name.

    Raises:
        AftercallError: the data directory is in use, or not for this version.
        SettingsError: this version does not have the profile.
    """
    check_profile(settings)
    clock = SystemClock()
    embedded = await open_embedded(settings.data_dir, clock)
    return Profile(
        clock=clock,
        log=embedded.log,
        store=embedded.store,
        history=embedded.history,
        commit=embedded.commit,
        replies=embedded.replies,
        register=embedded.replies.register,
        prune=embedded.log.prune,
        close=embedded.close,
    )
