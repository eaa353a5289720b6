"""A small server that speaks enough of the API to test its client and command line, in a thread of its own.

It keeps boards with the aggregations best, latest, sum and count in dictionaries, recognises submission
ids, and does on command what a real server does seldom: fail the next requests, or apply one and lose the
connection. It records every request. Rankings are naive; whether the real ones are right is tested elsewhere.
"""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

from aiohttp import web

from tests.support.fake_api_logs import FakeLogRoutes

Json = dict[str, Any]

KEY = "lb_test"
PERIOD = {
    "period_key": "2026-W47", "window": "main", "state": "active",
    "starts_at": "2026-11-16T00:00:00.000Z", "ends_at": "2999-11-23T00:00:00.000Z",
}  # fmt: skip
BODY = web.RequestKey("body", dict)
NOW = "2026-11-18T12:00:00.000Z"


class Refused(Exception):
    """Answered as the API's error envelope."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status, self.code, self.message = status, code, message


class FakeApi:
    """`with FakeApi() as api:` serves at `api.url`; `api.requests` has (method, path, headers, body) of
    each.
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.boards: dict[str, Json] = {}
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.ready = True
        self.rewards_states = ["granted"]  # told one after the other
        self.delivery_answers: list[Json | None] = [
            {"at": NOW, "status": 204, "error": None, "duration_ms": 12}
        ]
        self.audit: list[Json] = []  # details of the records
        self.held: dict[str, int] = {}  # leaderboard -> submissions that wait for a decision
        self.main_follows: Json | None = None  # how far the window main of its leaderboard has read a log
        self.late_projections: Json = {"behind": 0, "leaderboards": []}
        self.hosted_logs: list[Json] = []  # those of the first actor
        self.waiting_codes: dict[str, list[str]] = {}  # player_id -> codes of its next refusals, item by item
        self.logs = FakeLogRoutes(self.waiting_codes)
        self._failures: list[tuple[Json | None, int, dict[str, str]] | None] = []
        self._url: str | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> FakeApi:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @property
    def url(self) -> str:
        assert self._url is not None
        return self._url

    def paths(self) -> list[str]:
        """`POST /v1/…` of every request so far."""
        return [f"{method} {path}" for method, path, _, _ in self.requests]

    def fail(
        self,
        status: int,
        code: str,
        times: int = 1,
        retry_after: int | None = None,
        message: str = "as told",
    ) -> None:
        """The next requests get this error; nothing is applied."""
        body = envelope(status, code, message)
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        self._failures += [(body, status, headers)] * times

    def fail_with_page(self, status: int) -> None:
        """The next request gets an HTML page, as from a proxy."""
        self._failures.append(({"html": "<h1>no</h1>"}, status, {}))

    def let_pass(self, times: int) -> None:
        """So many requests are answered as usual, before what is told next."""
        self._failures += [None] * times

    def lose_answer(self) -> None:
        """The next request is carried out, but its connection breaks before the answer."""
        self._failures.append((None, 0, {}))

    async def _start(self) -> None:
        app = web.Application(middlewares=[self._judge], client_max_size=2**26)
        board = "/v1/leaderboards/{board}"
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_post("/v1/leaderboards", self._create)
        app.router.add_get("/v1/leaderboards", self._list)
        app.router.add_get(board, self._definition)
        app.router.add_patch(board, self._update)
        app.router.add_delete(board, self._remove)
        app.router.add_post(board + "/scores", self._scores)
        app.router.add_post("/v1/scores", self._scores)
        app.router.add_post("/v1/metrics/{metric}", self._rows)
        app.router.add_post("/v1/events", self._events)
        app.router.add_post(board + "/entries/import", self._import)
        app.router.add_get(board + "/periods/current", self._period)
        app.router.add_get(board + "/rankings", self._rankings)
        app.router.add_get(board + "/players/{player}", self._entry)
        app.router.add_get(board + "/players/{player}/around", self._around)
        app.router.add_route("*", "/{anything:.*}", self._anything)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        port = self._runner.addresses[0][1]
        self._url = f"http://127.0.0.1:{port}"

    @web.middleware
    async def _judge(self, request: web.Request, handler: Any) -> web.StreamResponse:
        body = json.loads(await request.read() or "null")
        self.requests.append((request.method, request.raw_path, dict(request.headers), body))
        request[BODY] = body
        failure = self._failures.pop(0) if self._failures else None
        if failure is not None and failure[0] is not None:
            page = failure[0].get("html")
            if page is not None:
                return web.Response(text=page, status=failure[1], content_type="text/html")
            return answer(failure[0], failure[1], failure[2])
        try:
            if request.path.startswith("/v1/") and request.headers.get("Authorization") != f"Bearer {KEY}":
                raise Refused(401, "unauthenticated", "no such key")
            response: web.StreamResponse = await handler(request)
        except Refused as refused:
            error = {
                "code": refused.code,
                "message": refused.message,
                "status": refused.status,
                "details": [],
            }
            return answer({"error": error}, refused.status)
        if failure is not None:
            assert request.transport is not None
            request.transport.abort()
        return response

    def _board(self, request: web.Request) -> Json:
        return self._board_of(request.match_info["board"])

    def _board_of(self, leaderboard_id: str) -> Json:
        board = self.boards.get(leaderboard_id)
        if board is None:
            raise Refused(404, "leaderboard_not_found", f"no leaderboard '{leaderboard_id}'")
        return board

    # Definitions ----------------------------------------------------------------------------------------

    async def _create(self, request: web.Request) -> web.Response:
        given = request[BODY]
        leaderboard_id = given["leaderboard_id"]
        if leaderboard_id in self.boards:
            raise Refused(409, "leaderboard_exists", f"leaderboard '{leaderboard_id}' exists")
        self.add_board(leaderboard_id, **given)
        return answer(self.boards[leaderboard_id]["definition"], 201)

    def add_board(self, leaderboard_id: str, /, **given: Any) -> None:
        definition = {
            "leaderboard_id": leaderboard_id, "name": leaderboard_id, "status": "active", "windows": [],
            "version": 1, **given,
            "timeframe": {"type": "permanent", "timezone": "UTC", **given.get("timeframe", {})},
            "scoring": {"source": "scores", "aggregation": "best", **given.get("scoring", {})},
            "ranking": {
                "order": "desc", "subscore_order": "desc", "tie_breaking": "first", **given.get("ranking", {})
            },
        }  # fmt: skip
        self.boards[leaderboard_id] = {"definition": definition, "entries": {}, "seen": {}, "seq": 0}

    async def _list(self, request: web.Request) -> web.Response:
        items = [board["definition"] for board in self.boards.values()]
        shown = items[: int(request.query.get("limit", 100))]
        more = "more" if len(shown) < len(items) else None
        return answer({"items": shown, "total": len(items), "next_cursor": more})

    async def _definition(self, request: web.Request) -> web.Response:
        return answer(self._board(request)["definition"])

    async def _update(self, request: web.Request) -> web.Response:
        definition = self._board(request)["definition"]
        if request.headers.get("If-Match", f'"{definition["version"]}"') != f'"{definition["version"]}"':
            raise Refused(412, "version_mismatch", "it has moved on")
        for name, value in request[BODY].items():
            definition[name] = {**definition[name], **value} if isinstance(value, dict) else value
        definition["version"] += 1
        return answer(definition)

    async def _remove(self, request: web.Request) -> web.Response:
        board = self._board(request)
        if request.query.get("purge") == "true":
            del self.boards[request.match_info["board"]]
        board["definition"]["status"] = "archived"
        return answer(board["definition"])

    # Scores and rankings --------------------------------------------------------------------------------

    async def _rows(self, request: web.Request) -> web.Response:
        return answer(self.logs.write(request[BODY], request.query.get("results") == "full"))

    async def _events(self, request: web.Request) -> web.Response:
        return answer(self.logs.send(request[BODY], request.query.get("results") == "full"))

    async def _scores(self, request: web.Request) -> web.Response:
        body = request[BODY]
        if isinstance(body, dict) and "submissions" not in body:
            return answer(self._apply(self._board(request), body))
        many: Json = {"accepted": 0, "rejected": 0, "errors": [], "results": []}
        full = request.query.get("results") == "full"
        for index, item in enumerate(body["submissions"] if isinstance(body, dict) else body):
            try:
                leaderboard_id = item.get("leaderboard_id") or request.match_info["board"]
                result = self._apply(self._board_of(leaderboard_id), item, ranks=full)
                many["accepted"] += 1
                if full:
                    many["results"].append({"index": index, **result})
            except Refused as refused:
                many["rejected"] += 1
                many["errors"].append({"index": index, "code": refused.code, "message": refused.message})
        return answer(many)

    def _apply(self, board: Json, item: Json, ranks: bool = True) -> Json:
        player_id, score, submission_id = item["player_id"], item.get("score"), item.get("submission_id")
        if self.waiting_codes.get(player_id):
            raise Refused(503, self.waiting_codes[player_id].pop(0), "not now")
        if submission_id in board["seen"]:
            return {**board["seen"][submission_id], "duplicate": True}
        aggregation = item.get("aggregation") or board["definition"]["scoring"]["aggregation"]
        if aggregation == "count":
            score = 1
        if isinstance(score, bool) or not isinstance(score, int | float):
            raise Refused(422, "validation_failed", "score: must be a number")
        before = board["entries"].get(player_id)
        old_rank = self._rank(board, player_id) if ranks else None
        applied = before is None or aggregation != "best" or self._leads(board, score, before["score"])
        board["seq"] += 1
        if applied:
            total = before["score"] + score if before and aggregation in ("sum", "count") else score
            board["entries"][player_id] = {
                "player_id": player_id, "display_name": None, "score": total,
                "subscore": item.get("subscore", 0), "metadata": item.get("metadata"),
                "submissions": before["submissions"] + 1 if before else 1,
                "first_at": NOW, "updated_at": NOW, "change": "new", "at": board["seq"],
            }  # fmt: skip
        result = {
            "period_key": PERIOD["period_key"], "player_id": player_id, "applied": applied,
            "score": board["entries"][player_id]["score"], "subscore": 0,
            "previous_score": before and before["score"],
            "rank": self._rank(board, player_id) if ranks else None,
            "previous_rank": old_rank, "seq": board["seq"],
        }  # fmt: skip
        if submission_id is not None:
            board["seen"][submission_id] = result
        return result

    async def _import(self, request: web.Request) -> web.Response:
        board, body = self._board(request), request[BODY]
        assert body["period_key"] in (None, PERIOD["period_key"])
        done: Json = {"imported": 0, "unchanged": 0, "dropped": 0, "rejected": 0, "errors": []}
        for index, item in enumerate(body["entries"]):
            told = {"display_name": None, "subscore": 0, "metadata": None, "submissions": 1, "first_at": NOW,
                    "updated_at": NOW, "change": "new", **item}  # fmt: skip
            old = board["entries"].get(item["player_id"])
            if old is not None and {**old, "at": 0} == {**told, "at": 0}:
                done["unchanged"] += 1
            elif old is not None and not body["replace"]:
                done["rejected"] += 1
                done["errors"].append({"index": index, "code": "entry_exists", "message": "another entry"})
            else:
                board["seq"] += 1
                board["entries"][item["player_id"]] = {**told, "at": board["seq"]}
                done["imported"] += 1
        return answer({**done, "period_key": PERIOD["period_key"]})

    async def _period(self, request: web.Request) -> web.Response:
        self._board(request)
        return answer({**PERIOD, "window": request.query.get("window", "main")})

    def _leads(self, board: Json, score: float, other: float) -> bool:
        return score > other if board["definition"]["ranking"]["order"] == "desc" else score < other

    def standings(self, leaderboard_id: str) -> list[tuple[str, Any]]:
        """(player_id, score), best first."""
        return [(entry["player_id"], entry["score"]) for entry in self._ordered(self.boards[leaderboard_id])]

    def _ordered(self, board: Json) -> list[Json]:
        ranking = board["definition"]["ranking"]
        sign = -1 if ranking["order"] == "desc" else 1
        later = -1 if ranking["tie_breaking"] == "last" else 1
        entries = sorted(board["entries"].values(), key=lambda e: (sign * e["score"], later * e["at"]))
        return [{"rank": rank, **entry} for rank, entry in enumerate(entries, 1)]

    def _rank(self, board: Json, player_id: str) -> int | None:
        return next((e["rank"] for e in self._ordered(board) if e["player_id"] == player_id), None)

    def _page(self, board: Json, offset: int, limit: int) -> web.Response:
        ordered = self._ordered(board)
        entries = [{k: v for k, v in e.items() if k != "at"} for e in ordered[offset : offset + limit]]
        end = offset + limit
        return answer(
            {
                "leaderboard_id": board["definition"]["leaderboard_id"],
                "period": PERIOD, "total": len(ordered), "as_of_seq": board["seq"], "entries": entries,
                "next_cursor": str(end) if end < len(ordered) else None, "prev_cursor": None,
            }
        )  # fmt: skip

    async def _rankings(self, request: web.Request) -> web.Response:
        offset = int(request.query.get("cursor") or request.query.get("offset") or 0)
        return self._page(self._board(request), offset, int(request.query.get("limit", 20)))

    async def _entry(self, request: web.Request) -> web.Response:
        board, player_id = self._board(request), request.match_info["player"]
        for entry in self._ordered(board):
            if entry["player_id"] == player_id:
                return answer({**entry, "percentile": 50.0, "total": len(board["entries"])})
        raise Refused(404, "entry_not_found", f"no entry of '{player_id}'")

    async def _around(self, request: web.Request) -> web.Response:
        board, limit = self._board(request), int(request.query.get("limit", 11))
        rank = self._rank(board, request.match_info["player"])
        if rank is None:
            raise Refused(404, "entry_not_found", f"no entry of '{request.match_info['player']}'")
        return self._page(board, max(0, rank - 1 - (limit - 1) // 2), limit)

    # The rest -------------------------------------------------------------------------------------------

    async def _healthz(self, _: web.Request) -> web.Response:
        return answer({"status": "ok"})

    async def _readyz(self, _: web.Request) -> web.Response:
        if self.ready:
            return answer({"ready": True, "storage": "ok"})
        details = [{"loc": ["storage"], "msg": "disk full"}]
        body = envelope(503, "storage_unavailable", "not ready")
        body["error"]["details"] = details
        return answer(body, 503)

    def reward_answer(self, path: str) -> Json:
        """A page of one winner, or that winner; `rewards_states` is what pages say."""
        reward = {
            "leaderboard_id": "xp", "period": PERIOD, "player_id": "maya", "rank": 1, "score": 5100,
            "rewards": [{"tier": "champion", "payload": {"gems": 5}}, {"tier": "all", "payload": {}}],
            "granted_at": NOW, "expires_at": NOW, "claimed": True, "claimed_at": NOW, "claim_id": "tx-9",
            "display_name": "Maya",
        }  # fmt: skip
        if path.endswith(("/maya", "/claim")):
            return reward
        state = self.rewards_states.pop(0) if len(self.rewards_states) > 1 else self.rewards_states[0]
        granted = state == "granted"
        items, more = ([reward], "more") if granted else ([], None)
        return {"state": state, "period": PERIOD, "items": items, "next_cursor": more}

    def webhook_answer(self, request: web.Request) -> web.Response:
        """A webhook, its only delivery, or lists of them; `delivery_answers` are told one after the other."""
        webhook = {
            "webhook_id": "wh_1", "tenant_id": "default", "url": "https://x.example/", "events": None,
            "leaderboard_ids": ["xp"], "description": "", "status": "active", "disabled_reason": None,
            "created_at": NOW, "updated_at": NOW, **(request[BODY] or {}),
        }  # fmt: skip
        path, reads = request.path, request.method == "GET"
        if path.endswith("/deliveries/replay"):
            return answer({"replayed": 3, "remaining": 1}, 202)
        if "/deliveries" in path or path.endswith("/test"):
            last = (
                self.delivery_answers.pop(0) if len(self.delivery_answers) > 1 else self.delivery_answers[0]
            )
            delivery = {
                "delivery_id": "dlv_1", "event_id": "evt_1", "type": "period.closed", "leaderboard_id": "xp",
                "state": "delivered" if last and last["error"] is None else "pending", "occurred_at": NOW,
                "queued_at": NOW, "attempts": 1, "next_attempt_at": None, "finished_at": None,
                "last_answer": last,
            }  # fmt: skip
            many = path.endswith("/deliveries")
            return answer({"items": [delivery], "total": 1, "next_cursor": None} if many else delivery)
        if path == "/v1/webhooks" and reads:
            return answer({"items": [webhook], "total": 1, "next_cursor": None})
        shown = {**webhook, "secret": "whsec_bmV3"} if request.method == "POST" else webhook
        return answer(shown, 201 if path == "/v1/webhooks" else 200)

    def held_answer(self, request: web.Request) -> web.Response:
        """What waits for a decision, or the decision."""
        leaderboard_id = request.path.split("/")[3]
        held = {
            "held_id": "h_1", "leaderboard_id": leaderboard_id, "state": "held", "player_id": "maya",
            "score": 9, "metadata": {"level": 7}, "arrived_at": NOW, "plugin": "rules", "reason": "fast",
        }  # fmt: skip
        if request.path.endswith("/approve"):
            outcome = {"player_id": "maya", "period_key": "2026-W47", "score": 9, "rank": 1}
            return answer({"held": {**held, "state": "approved"}, "outcome": outcome})
        if request.method == "POST":
            return answer({**held, "state": "rejected"})
        total = self.held.get(leaderboard_id, 0)
        items = [held] * min(total, int(request.query.get("limit", 100)))
        return answer({"items": items, "total": total, "next_cursor": "more" if len(items) < total else None})

    async def _anything(self, request: web.Request) -> web.Response:
        """Whatever has no behaviour here is answered with the request's own fields, and all that listings
        need.
        """
        period = {**PERIOD, "entries": 3, "submissions": 5, "next_starts_at": None}
        if request.path.endswith("/periods") and request.method == "GET":
            return answer({"items": [period], "total": 1, "next_cursor": "more"})
        if request.path.startswith("/v1/metrics"):
            return answer(self.logs.read(request))
        if request.path.endswith("/rules/test"):
            rule = {"index": 0, "matched": True, "points": 70, "why": "it gives 70"}
            filters = {"matched": True, "why": "there are none"}
            return answer({"matched": True, "points": 70, "filters": filters, "rules": [rule]})
        if request.path.endswith("/rebuild"):
            return answer(period)
        if request.path.startswith("/v1/webhooks"):
            return self.webhook_answer(request)
        if "/held" in request.path:
            return self.held_answer(request)
        if "/rewards" in request.path:
            return answer(self.reward_answer(request.path))
        if request.path.endswith("/close"):
            return answer({"closed": {**period, "state": "closed"}, "current": period})
        if request.path == "/v1/audit":
            record = {"at": NOW, "act": "entry.edit", "target": "xp", "player_id": "maya", "key_id": "k_1"}
            items = [{**record, "key_name": "root", "reason": "bug", "details": told} for told in self.audit]
            return answer({"items": items, "total": len(items), "next_cursor": None})
        if request.path == "/v1/status":
            return answer(self.status_answer())
        if request.method == "GET":
            return answer({"items": [], "total": 0, "next_cursor": None})
        if "/players/" in request.path and request.path.startswith("/v1/leaderboards/"):
            entry = {"window": "main", "period_key": "2026-W47", "rank": 1, "score": 5, "subscore": 0}
            return answer({name: [entry] for name in ("removed", "restored", "before", "after")})
        return answer({**(request[BODY] or {}), "key_id": "k_1", "key": "lb_new", **PERIOD, "entries": 0,
                       "submissions": 0}, 201 if request.method == "POST" else 200)  # fmt: skip

    def status_answer(self) -> Json:
        """Two actors: one with a leaderboard of two windows, one that does not run."""

        def period(key: str, state: str, entries: int, seq: int) -> Json:
            return {
                "period_key": key,
                "state": state,
                "epoch": 1,
                "entries": entries,
                "serial": 1,
                "seq": seq,
            }

        def window(name: str, *periods: Json) -> Json:
            awake = any(period["state"] != "asleep" for period in periods)
            return {
                "window": name,
                "awake": awake,
                "closed_loaded": 1,
                "operations": 3,
                "periods": [*periods],
                "follows": self.main_follows if name == "main" else None,
            }

        main = window("main", period("a", "serving", 30, 90), period("b", "loading", 4, 0))
        board = {"tenant_id": "default", "leaderboard_id": "xp", "uid": "1", "waiting": 2,
                 "windows": [main, window("daily", period("c", "asleep", 0, 0))]}  # fmt: skip
        unknown = dict.fromkeys(("pid", "started_at", "resident_bytes", "submissions", "reads"))
        first = {"name": "period-1", "dormant": False, "pid": 7, "started_at": "2026-11-18T12:00:00.000Z",
                 "resident_bytes": 64 * 2**20, "submissions": 500, "reads": 20, "trouble": ["bad record"],
                 "reserved": True, "load_per_second": 5.2, "leaderboards": [board],
                 "logs": self.hosted_logs}  # fmt: skip
        second = {"name": "period-2", "dormant": True, **unknown, "trouble": [], "reserved": False,
                  "load_per_second": 0, "leaderboards": [], "logs": []}  # fmt: skip
        process = {"pid": 5, "resident_bytes": 90 * 2**20}
        return {
            "ready": self.ready,
            "storage": "ok",
            "at": "2026-11-18T12:01:40.000Z",
            "gateway": process,
            "supervisor": {**process, "epoch": 4, "started_at": "2026-11-18T12:00:00.000Z", "trouble": ""},
            "leaderboards": 1,
            "periods": {"serving": 1, "loading": 1, "asleep": 1},
            "events": dict.fromkeys(("webhooks", "pending", "receivers_down", "delivered"), 0),
            "projections": self.late_projections,
            "actors": [first, second],
        }


def answer(body: Json, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(body, status=status, headers=headers)


def envelope(status: int, code: str, message: str) -> Json:
    return {"error": {"code": code, "message": message, "status": status, "details": []}}
