"""What a source compares after a gap: the switch's dialogs, and the calls we hold for up."""

from typing import Final

import aiohttp

from services.callstate.model import COLLECTION
from services.callstate.sources import OpenCalls, Snapshot
from services.callstate.switches.kamailio import Switch
from shared.contracts import limits
from shared.contracts.calls import Phase
from shared.contracts.ids import split_key
from shared.runtime.ports import StateStore

# Byte by byte what aftercall.cfg compares with: it answers no other question.
QUESTION: Final = b'{"jsonrpc":"2.0","method":"dlg.list","id":1}'
DIALOGS_BYTES_MAX: Final = 64 * 1024 * 1024  # a dialog takes some 1,000 bytes


def http_snapshot(url: str, *, bytes_max: int = DIALOGS_BYTES_MAX) -> Snapshot:
    """Asks for the live dialogs at the address that aftercall.cfg answers on."""

    async def snapshot() -> bytes:
        body = bytearray()
        async with (
            aiohttp.ClientSession(raise_for_status=True) as session,
            session.post(url, data=QUESTION) as answer,
        ):
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > bytes_max:
                    raise OSError(f"the list of dialogs is over {bytes_max} bytes")
        return bytes(body)

    return snapshot


def stored_calls(store: StateStore, switch: Switch) -> OpenCalls:
    """Asks the store for this switch's calls that have not been disconnected.

    Ringing calls first: one that is answered meanwhile is found by the second question at least.
    """

    async def open_calls() -> set[str]:
        found: set[str] = set()
        for phase in (Phase.RINGING, Phase.ACTIVE):
            cursor = None
            while True:
                page = await store.find(
                    COLLECTION,
                    switch.tenant,
                    phase=phase,
                    cursor=cursor,
                    limit=limits.PAGE_SIZE_MAX,
                )
                found.update(split_key(document.key)[1] for document in page.documents)
                if page.next is None:
                    break
                cursor = page.next
        return {call_id for call_id in found if call_id.startswith(switch.prefix)}

    return open_calls
