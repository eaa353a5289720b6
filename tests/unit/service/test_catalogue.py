"""The gateway's catalogue under any course of published changes: what it knows twice stays the same."""

from __future__ import annotations

import random
from typing import Any

import msgpack
import pytest

from lbactors.core.definition import Definition
from lbactors.core.ids import log_document
from lbactors.core.model import Board, Key, Tenant
from lbactors.documents.entities import pack_board, pack_key, pack_tenant
from lbactors.service.catalogue import Catalogue
from lbactors.wire.actors import ActorGone
from lbactors.wire.catalogue_feed import INCARNATIONS
from tests.support.told_catalogue import ToldCatalogue, of_events, projection

TENANTS = ("one", "two")
NAMES = ("a", "b", "c")


class Published:
    """Stands in for a supervisor: each watch answers what was changed since the last, or everything."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.epoch, self.version = 1, 0
        self.known: dict[tuple[str, str], bytes] = {}
        self.news: list[tuple[str, str, bytes | None]] = []

    def change(self) -> None:
        rng, tenant, name = self.rng, self.rng.choice(TENANTS), self.rng.choice(NAMES)
        key = Key(name, tenant, name, frozenset(("read",)), f"hash of {name}", "active", None, None, 0)
        scoring = rng.choice([{}, {"source": "metric", "metric": "coins"}, of_events("match", "login")])
        status = rng.choice(["active", "inactive", "archived"])
        fields = {"leaderboard_id": name, "scoring": scoring, "status": status}
        definition = Definition.model_validate(fields)
        board = Board(tenant, "u1", definition, rng.randrange(9), 0, 0)
        log = Board(tenant, "metric-1", Definition(leaderboard_id=name), 1, 0, 0)
        collection, doc_id, body = rng.choice(
            [
                ("tenants", tenant, pack_tenant(Tenant(tenant, tenant, "active", None, 0))),
                ("keys", name, pack_key(key._replace(status=rng.choice(["active", "disabled", "deleted"])))),
                ("leaderboards", f"{tenant}/{name}", pack_board(board)),
                ("logs", log_document(tenant, name), pack_board(log)),
                ("homes", board.board_uid, rng.choice([b"period-1", b"period-2"])),
                (INCARNATIONS, "period-1", rng.choice([b"", b"x"])),
            ]
        )
        gone = collection in ("tenants", "leaderboards", "logs", "homes") and rng.random() < 0.3
        self.version += 1
        self.news.append((collection, doc_id, None if gone else body))
        self.known.pop((collection, doc_id), None)
        if not gone:
            self.known[collection, doc_id] = body

    async def call(self, method: str, *payload: bytes, timeout_s: float | None = None) -> bytes:
        assert method == "watch"
        epoch, version = msgpack.unpackb(payload[0])
        full = epoch != self.epoch or not version
        told: list[Any] = [[*key, body] for key, body in self.known.items()] if full else self.news
        self.news = []
        return bytes(msgpack.packb([self.epoch, self.version, full, told]))


@pytest.mark.parametrize("seed", range(20))
async def test_any_course_of_changes(seed: int) -> None:
    published = Published(random.Random(seed))
    catalogue = Catalogue(published, lambda tenant_id, player_id: None)
    for _ in range(60):
        for _ in range(published.rng.randint(0, 4)):
            published.change()
        if published.rng.random() < 0.05:
            published.epoch += 1  # a new supervisor: everything is told again
        await catalogue._watch()
        catalogue.check()
        boards = [b for tenant_id in TENANTS for b in catalogue.boards(tenant_id)]
        stored = {i: b for (collection, i), b in published.known.items() if collection == "leaderboards"}
        assert {f"{b.tenant_id}/{b.leaderboard_id}": pack_board(b) for b in boards} == stored
        followers = {(t, b.board_uid) for t in TENANTS for b in catalogue.followers(t, "coins")}
        followers |= {(t, b.board_uid) for t in TENANTS for b in catalogue.event_followers(t, ["match"])}
        assert followers == {
            (b.tenant_id, b.board_uid)
            for b in boards
            if b.definition.status != "archived" and b.definition.scoring.is_projection
        }
        logs = {(t, name) for t in TENANTS for name, _ in catalogue.metrics(t)}
        assert {log_document(*pair) for pair in logs} == {
            i for collection, i in published.known if collection == "logs"
        }
        homes = {i: b.decode() for (collection, i), b in published.known.items() if collection == "homes"}
        assert {i: catalogue.home(i) for i in homes} == homes


async def test_a_start_waits_for_the_supervisor_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may take a while on a busy machine, and its store may be away meanwhile."""
    monkeypatch.setattr("lbactors.service.catalogue.RETRY_S", 0.001)
    monkeypatch.setattr("lbactors.service.catalogue.ANNOUNCED_AFTER_S", 0.0)
    published = Published(random.Random(1))
    published.change()
    failures: list[Exception] = [TimeoutError(), ActorGone("its store is away"), TimeoutError()]
    plain = published.call

    async def call(method: str, *payload: bytes, timeout_s: float | None = None) -> bytes:
        if failures:
            raise failures.pop(0)
        return await plain(method, *payload, timeout_s=timeout_s)

    monkeypatch.setattr(published, "call", call)
    catalogue = Catalogue(published, lambda tenant_id, player_id: None)
    told: list[str] = []
    await catalogue.start(30, told.append)
    await catalogue.close()
    assert not failures and catalogue.version.epoch == 1
    assert len(told) == 1


async def test_the_wait_of_a_start_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    published = Published(random.Random(1))

    async def call(method: str, *payload: bytes, timeout_s: float | None = None) -> bytes:
        raise ActorGone("its store is away")

    monkeypatch.setattr(published, "call", call)
    catalogue = Catalogue(published, lambda tenant_id, player_id: None)
    with pytest.raises(ActorGone, match="its store is away"):
        await catalogue.start(0.01)
    await catalogue.close()


# Logs and who follows them --------------------------------------------------------------------------------


def ids(boards: list[Board]) -> list[str]:
    return sorted(board.leaderboard_id for board in boards)


@pytest.fixture
def told() -> ToldCatalogue:
    return ToldCatalogue()


async def test_followers_of_a_metric_are_those_of_its_tenant(told: ToldCatalogue) -> None:
    await told.put(
        projection("coins"),
        projection("rich"),
        projection("gems", scoring={"source": "metric", "metric": "gems"}),
        projection("matches", scoring=of_events("match")),
        projection("plain", scoring={}),
        projection("far", tenant_id="other"),
    )
    assert ids(told.followers("default", "coins")) == ["coins", "rich"]
    assert ids(told.followers("default", "gems")) == ["gems"]
    assert ids(told.followers("other", "coins")) == ["far"]
    assert told.followers("default", "none") == told.followers("nobody", "coins") == []


async def test_followers_of_events_are_named_once(told: ToldCatalogue) -> None:
    await told.put(
        projection("both", scoring=of_events("match", "login", "match")),
        projection("login", scoring=of_events("login")),
        projection("coins"),
    )
    assert ids(told.event_followers("default", ["match", "login", "login"])) == ["both", "login"]
    assert ids(told.event_followers("default", ["match"])) == ["both"]
    assert told.event_followers("default", ["chat"]) == told.event_followers("default", []) == []


async def test_a_leaderboard_that_is_made_later_follows(told: ToldCatalogue) -> None:
    """What was looked up before is not what holds."""
    await told.put(projection("one"))
    assert ids(told.followers("default", "coins")) == ["one"]
    await told.put(projection("two"))
    assert ids(told.followers("default", "coins")) == ["one", "two"]


@pytest.mark.parametrize("scoring", [{"source": "metric", "metric": "coins"}, of_events("match")])
async def test_an_archived_leaderboard_does_not_follow(told: ToldCatalogue, scoring: Any) -> None:
    def followers() -> list[str]:
        found = told.event_followers("default", ["match"]) + told.followers("default", "coins")
        return ids(found)

    await told.put(projection("xp", scoring=scoring))
    assert followers() == ["xp"]
    await told.put(projection("xp", scoring=scoring, status="archived"))
    assert followers() == []
    await told.put(projection("xp", scoring=scoring, status="inactive"))
    assert followers() == ["xp"], "its rows do not count, but its place in the log goes on"


async def test_a_leaderboard_that_goes_over_to_another_metric(told: ToldCatalogue) -> None:
    await told.put(projection("xp"))
    assert ids(told.followers("default", "coins")) == ["xp"]
    await told.put(projection("xp", scoring={"source": "metric", "metric": "gems"}))
    assert told.followers("default", "coins") == []
    assert ids(told.followers("default", "gems")) == ["xp"]


async def test_rules_that_change_change_who_is_told(told: ToldCatalogue) -> None:
    await told.put(projection("xp", scoring=of_events("match")))
    assert ids(told.event_followers("default", ["match"])) == ["xp"]
    await told.put(projection("xp", scoring=of_events("login")))
    assert told.event_followers("default", ["match"]) == []
    assert ids(told.event_followers("default", ["login"])) == ["xp"]


async def test_a_purged_leaderboard_does_not_follow(told: ToldCatalogue) -> None:
    await told.put(xp := projection("xp"), projection("other"))
    assert ids(told.followers("default", "coins")) == ["other", "xp"]
    await told.drop(xp)
    assert ids(told.followers("default", "coins")) == ["other"]


async def test_all_is_told_anew(told: ToldCatalogue) -> None:
    """By another supervisor: what is gone meanwhile follows no more, and has no log."""
    await told.put(projection("xp"), gone := projection("gone"))
    await told.put_log("coins")
    await told.put_log("gems")
    assert ids(told.followers("default", "coins")) == ["gone", "xp"]
    del told._known["leaderboards", f"default/{gone.leaderboard_id}"]
    del told._known["logs", log_document("default", "gems")]
    await told.resend()
    assert ids(told.followers("default", "coins")) == ["xp"]
    assert [name for name, _ in told.metrics("default")] == ["coins"]


async def test_logs_are_found_by_metric_and_tenant(told: ToldCatalogue) -> None:
    coins, events = await told.put_log("coins"), await told.put_log(None)
    other = await told.put_log("coins", "other")
    named_so = await told.put_log("events")
    assert told.log("default", "coins") == coins
    assert told.log("default", None) == events
    assert told.log("default", "events") == named_so != events
    assert told.log("other", "coins") == other
    assert told.log("other", None) is None and told.log("default", "gems") is None
    await told.drop_log("coins")
    assert told.log("default", "coins") is None and told.log("other", "coins") == other
    again = await told.put_log("coins", uid="metric-9999")
    assert told.log("default", "coins") == again


async def test_metrics_are_listed_by_name_and_without_events(told: ToldCatalogue) -> None:
    for metric in ("gems", "coins", "a.b:c", None, "events"):
        await told.put_log(metric)
    await told.put_log("far", "default2")
    assert [name for name, _ in told.metrics("default")] == ["a.b:c", "coins", "events", "gems"]
    assert [name for name, _ in told.metrics("default2")] == ["far"]
    assert told.metrics("nobody") == []
