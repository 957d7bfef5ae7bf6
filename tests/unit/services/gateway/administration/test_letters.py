"""Dead letters by the admin port: listed, shown whole, and put back once."""

from typing import Any

import pytest
import structlog

from services.gateway.administration import letters, models
from shared.contracts.envelope import Headers, Message
from shared.contracts.errors import Poison, Unavailable
from shared.contracts.topics import DISPOSITION_REQUESTS, TELEPHONY_EVENTS, TOPICS, dead
from shared.runtime.dead_letters import PUT_BACK, dead_letter, read_letters
from tests.unit.services.gateway.administration.office import OPERATOR, Office
from tests.unit.services.gateway.floor import ADMIN

pytestmark = pytest.mark.asyncio

LETTERS = "/v1/admin/dead-letters"
POISON = Poison("bad_envelope", "attribute ce_id is missing")


async def die(
    office: Office,
    key: str = "demo:c1",
    *,
    value: bytes = b"what?",
    topic: str = TELEPHONY_EVENTS,
    headers: Headers = (("ce_type", b"call.held"),),
) -> str:
    """A record that could not be processed; the path of its letter, which the store knows."""
    office.log.put([Message(topic, key, headers, value)])
    (record,) = (one for one in office.log.all(topic) if one.value == value)
    office.log.put([dead_letter(record, POISON)])
    (letter,) = (one for one in office.log.all(dead(topic)) if one.value == value)
    (row,), _ = read_letters([letter])
    await office.letters.keep([row], {})
    office.clock.advance(1_000)
    return f"{LETTERS}/{row.place}"


async def listed(office: Office, query: str = "", who: Any = OPERATOR) -> list[str]:
    """The keys of what is listed."""
    status, page = await office.ask("GET", f"{LETTERS}{query}", who)
    assert status == 200, page
    models.LettersPage.model_validate(page, strict=True)
    return [row["key"] for row in page["letters"]]


def came(office: Office, topic: str = TELEPHONY_EVENTS) -> int:
    return len(office.log.all(topic))


async def test_the_newest_stands_first_with_where_it_came_from_and_why(office: Office) -> None:
    await die(office, "demo:c1", value=b"1")
    await die(office, "demo:c2", value=b"2")
    assert await listed(office) == ["demo:c2", "demo:c1"]
    _, page = await office.ask("GET", LETTERS, ADMIN)
    row = page["letters"][-1]
    place = row.pop("place")
    assert place.startswith(f"{dead(TELEPHONY_EVENTS)}/")
    assert row.pop("origin").startswith(f"{TELEPHONY_EVENTS}/")
    assert row.pop("at")
    assert row == {
        "topic": TELEPHONY_EVENTS,
        "reason": "bad_envelope",
        "detail": "attribute ce_id is missing",
        "key": "demo:c1",
        "type": "call.held",
    }


async def test_pages_follow_one_another(office: Office) -> None:
    for number in range(3):
        await die(office, f"demo:c{number}", value=b"%d" % number)
    _, page = await office.ask("GET", f"{LETTERS}?limit=2", ADMIN)
    assert await listed(office, f"?limit=2&cursor={page['next']}", ADMIN) == ["demo:c0"]


async def test_lists_are_narrowed_by_topic_and_by_what_was_put_back(office: Office) -> None:
    path = await die(office, "demo:c1", value=b"1")
    await die(office, "demo:c2", value=b"2", topic=DISPOSITION_REQUESTS)
    await office.ask("POST", f"{path}/put-back", ADMIN)
    assert await listed(office, f"?topic={DISPOSITION_REQUESTS}") == ["demo:c2"]
    assert await listed(office, "?put_back=true") == ["demo:c1"]
    assert await listed(office, "?put_back=false") == ["demo:c2"]
    assert await listed(office, f"?put_back=false&topic={TELEPHONY_EVENTS}") == []


@pytest.mark.parametrize(
    "query", ["topic=any", "put_back=yes", "put_back=", "cursor=none", "limit=0", "tenant=demo"]
)
async def test_a_question_that_is_none_is_refused(office: Office, query: str) -> None:
    status, problem = await office.ask("GET", f"{LETTERS}?{query}", OPERATOR)
    assert (status, problem["code"]) == (422, "validation")


async def test_a_letter_is_shown_whole_and_kept_by_nobody(office: Office) -> None:
    path = await die(office, value=b'{"name": "Ada"}')
    async with office.admin.get(path, headers=ADMIN) as answer:
        letter = await answer.json()
        assert answer.headers["Cache-Control"] == "no-store"
    models.LetterWhole.model_validate(letter, strict=True)
    assert letter["value"] == '{"name": "Ada"}'
    assert letter["headers"]["ce_type"] == "call.held"
    assert letter["headers"]["dead_reason"] == "bad_envelope"
    async with office.admin.get(LETTERS, headers=ADMIN) as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Ada" not in await answer.text()


async def test_what_is_no_text_is_shown_all_the_same(office: Office) -> None:
    path = await die(office, value=b"\xff\x00", headers=(("x", b"\xfe"),))
    _, letter = await office.ask("GET", path, ADMIN)
    models.LetterWhole.model_validate(letter, strict=True)
    assert letter["value_base64"] == "/wA="
    assert "value" not in letter
    assert letter["headers"]["x"] == "\ufffd"
    assert letter["type"] is None


async def test_it_goes_back_as_it_came_and_is_shown_so_at_once(office: Office) -> None:
    path = await die(office)
    status, told = await office.ask("POST", f"{path}/put-back", ADMIN)
    assert status == 200
    models.PutBackView.model_validate(told, strict=True)
    first, second = office.log.all(TELEPHONY_EVENTS)
    place = path.removeprefix(f"{LETTERS}/")
    assert (second.key, second.value) == (first.key, first.value)
    assert second.headers == (*first.headers, (PUT_BACK, place.encode()))
    _, returned = read_letters(office.log.all(dead(TELEPHONY_EVENTS)))
    assert set(returned) == {place}
    _, letter = await office.ask("GET", path, ADMIN)
    assert (letter["place"], letter["put_back_at"]) == (told["place"], told["put_back_at"])


async def test_it_goes_once_more_only_where_that_is_said(office: Office) -> None:
    path = await die(office)
    await office.ask("POST", f"{path}/put-back", ADMIN, {})
    before = came(office)
    for body in (None, {}, {"again": False}):
        status, problem = await office.ask("POST", f"{path}/put-back", ADMIN, body)
        assert (status, problem["code"]) == (409, "already_put_back")
    assert came(office) == before
    assert (await office.ask("POST", f"{path}/put-back", ADMIN, {"again": True}))[0] == 200
    assert came(office) == before + 1


async def test_another_tenants_letter_is_as_one_that_there_is_not(office: Office) -> None:
    others = [
        await die(office, key, value=key.encode()) for key in ("acme:c1", "", "demo", "x y:1")
    ]
    nowhere = f"{LETTERS}/{dead(TELEPHONY_EVENTS)}/0/99"
    before = came(office)
    for path in others:
        for method, place in (("GET", ""), ("POST", "/put-back")):
            theirs = await office.ask(method, f"{path}{place}", ADMIN)
            assert theirs == await office.ask(method, f"{nowhere}{place}", ADMIN)
            assert theirs[0] == 404
    assert await listed(office, "", ADMIN) == []
    assert came(office) == before


async def test_the_operator_sees_all_and_puts_all_back(office: Office) -> None:
    paths = [await die(office, key, value=key.encode()) for key in ("acme:c1", "", "x y:1")]
    assert await listed(office) == ["x y:1", "", "acme:c1"]
    for path in paths:
        assert (await office.ask("GET", path, OPERATOR))[0] == 200
        assert (await office.ask("POST", f"{path}/put-back", OPERATOR))[0] == 200


@pytest.mark.parametrize(
    "place", ["00/0", "0/-1", "0/1.0", "a/0", "0/9999999999999999999", "0/%D9%A1"]
)
async def test_a_place_has_one_spelling(office: Office, place: str) -> None:
    path = await die(office)
    assert path.endswith("/0")
    status, _ = await office.ask("GET", f"{LETTERS}/{dead(TELEPHONY_EVENTS)}/{place}", OPERATOR)
    assert status == 404


@pytest.mark.parametrize("body", [{"again": "yes"}, {"once": True}, [], 1])
async def test_a_body_that_is_none_puts_nothing_back(office: Office, body: Any) -> None:
    path = await die(office)
    assert (await office.ask("POST", f"{path}/put-back", ADMIN, body))[0] == 422
    assert came(office) == 1


async def test_while_the_store_is_away_nothing_is_put_back(office: Office) -> None:
    path = await die(office)
    for where, method, url in (
        ("page", "GET", LETTERS),
        ("letter", "GET", path),
        ("letter", "POST", f"{path}/put-back"),
    ):
        office.letters.fail_next(where)
        async with office.admin.request(method, url, headers=ADMIN) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert came(office) == 1


@pytest.mark.parametrize("applied", [True, False])
async def test_while_the_log_is_away_it_is_unknown_and_a_retry_is_right(
    office: Office, applied: bool
) -> None:
    path = await die(office)
    office.log.fail_next("append", applied=applied, error=Unavailable("away"))
    assert (await office.ask("POST", f"{path}/put-back", ADMIN))[0] == 503
    assert "put_back_at" not in (await office.ask("GET", path, ADMIN))[1]
    assert (await office.ask("POST", f"{path}/put-back", ADMIN))[0] == 200


async def test_a_log_that_hangs_is_not_waited_for(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await die(office)
    monkeypatch.setattr(letters, "PUT_BACK_S", 0.01)
    office.log.stalls = True
    assert (await office.ask("POST", f"{path}/put-back", ADMIN))[0] == 503


async def test_the_log_says_who_put_back_what(office: Office) -> None:
    path = await die(office, value=b"what?")
    with structlog.testing.capture_logs() as told:
        await office.ask("POST", f"{path}/put-back", ADMIN)
        await office.ask("POST", f"{path}/put-back", OPERATOR, {"again": True})
    said = [line for line in told if line["event"] == "letter_put_back"]
    assert [(line["by"], line["again"]) for line in said] == [("admin", False), ("operator", True)]
    place = path.removeprefix(f"{LETTERS}/")
    assert {(line["place"], line["topic"], line["of"]) for line in said} == {
        (place, TELEPHONY_EVENTS, "demo")
    }
    assert "what?" not in str(told)


async def test_none_of_it_is_on_the_public_port(office: Office) -> None:
    path = await die(office)
    for url in (LETTERS, path):
        async with office.client.get(url, headers=ADMIN) as answer:
            assert answer.status == 404


async def test_the_page_offers_the_topics_whose_records_may_die(office: Office) -> None:
    async with office.admin.get("/console") as answer:
        page = await answer.text()
    offered = {name for name in TOPICS if f"<option>{name}</option>" in page}
    assert offered == {topic.name for topic in TOPICS.values() if topic.decided_by is not None}
