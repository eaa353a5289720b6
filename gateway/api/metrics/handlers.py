"""Metrics (API section 9): rows, one or many, settling pending ones, balances and transactions.

One row is answered with its outcome or with the status of what went wrong, a list with a verdict for each
item, as scores are (`gateway.api.scores.handlers`). Leaderboards that have not taken the rows yet are named
in every answer to a write.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from gateway.http.call import Call
from gateway.http.cursors import SortKey, listing_cursor, listing_key
from gateway.http.documents import Document, error_item, instant, metadata_reader
from gateway.http.items import Item, failure_of_all, items_in
from gateway.http.listings import listing_of
from gateway.http.log_rows import RowStandard
from lbactors.core.errors import ApiError
from lbactors.core.log_model import LogStats, RowOutcome, Transaction, seq_of, transaction_id

RESULTS = ("none", "full")


async def write(call: Call) -> web.Response:
    """`POST /v1/metrics/{metric}`."""
    body = await call.body()
    key = call.idempotency_key()
    tag = await call.body_tag(key)
    standard = RowStandard(call.caller.player_id, call.service.now_ms(), key, tag)
    if type(body) is dict and "submissions" not in body:
        return await _write_one(call, body, standard)
    items, loc = items_in(body, "submissions", call.settings.batch_items, bare=True)
    rows, sources, refused = call.gateway.rows.several(items, standard, loc)
    verdicts: Sequence[RowOutcome | ApiError] = ()
    behind: Sequence[str] = ()
    if rows:
        tag = standard.tag(items[index] for index in sources)
        try:
            verdicts, behind = await call.service.logs.append_rows(
                call.tenant_id, call.path["metric"], rows, standard.arrived_at_ms, tag
            )
        except ApiError as error:
            verdicts = [error] * len(rows)
    judged: dict[int, RowOutcome | ApiError] = {**refused, **dict(zip(sources, verdicts, strict=True))}
    return _batch_answer(call, judged, behind)


async def _write_one(call: Call, item: Item, standard: RowStandard) -> web.Response:
    metrics = call.gateway.metrics
    try:
        row = call.gateway.rows.one(item, standard)
        (verdict,), behind = await call.service.logs.append_rows(
            call.tenant_id, call.path["metric"], [row], standard.arrived_at_ms, standard.tag([item])
        )
        if isinstance(verdict, ApiError):
            raise verdict
    except ApiError:
        metrics.log_rows("row", 0, 1)
        raise
    metrics.log_rows("row", 1, 0)
    return call.answer({**_outcome(verdict), "behind": call.seen(behind)})


def _batch_answer(
    call: Call, verdicts: dict[int, RowOutcome | ApiError], behind: Sequence[str]
) -> web.Response:
    """verdicts: of all items, by index."""
    total = len(verdicts)
    errors = sorted((index, v) for index, v in verdicts.items() if isinstance(v, ApiError))
    call.gateway.metrics.log_rows("row", total - len(errors), len(errors))
    failure = failure_of_all(errors, total, keyed=call.idempotency_key() is not None)
    if failure is not None:
        raise failure
    results: list[Document] = []
    if call.query["results"] == "full":
        taken = ((index, v) for index, v in sorted(verdicts.items()) if not isinstance(v, ApiError))
        results = [{"index": index, **_outcome(v)} for index, v in taken]
    return call.answer(
        {
            "accepted": total - len(errors),
            "rejected": len(errors),
            "errors": [error_item(index, error) for index, error in errors],
            "results": results,
            "behind": call.seen(behind),
        }
    )


async def complete(call: Call) -> web.Response:
    """`POST /v1/metrics/{metric}/transactions/{transaction_id}/complete`."""
    return await _settle(call, complete=True)


async def reject(call: Call) -> web.Response:
    """`POST /v1/metrics/{metric}/transactions/{transaction_id}/reject`."""
    return await _settle(call, complete=False)


async def _settle(call: Call, *, complete: bool) -> web.Response:
    idempotency = await call.empty_document()
    transaction, outcome, behind = await call.service.logs.settle(
        call.tenant_id,
        call.path["metric"],
        _seq(call),
        complete=complete,
        player_id=call.caller.player_id,
        idempotency=idempotency,
    )
    return call.answer(
        {
            **_transaction(call, transaction),
            "balance": outcome.balance,
            "earned": outcome.earned,
            "behind": call.seen(behind),
        }
    )


# Reads ----------------------------------------------------------------------------------------------------


async def list_all(call: Call) -> web.Response:
    """`GET /v1/metrics`, by name."""

    def document(found: tuple[str, LogStats]) -> Document:
        name, stats = found
        return {
            "metric": name,
            "players": stats.players,
            "transactions": stats.rows,
            "last_at": instant(stats.last_at_ms),
        }

    def key(found: tuple[str, LogStats]) -> SortKey:
        return (found[0],)

    found = sorted(await call.service.logs.metrics(call.tenant_id))
    return listing_of(call, found, document, key, "metrics")


async def balance(call: Call) -> web.Response:
    """`GET /v1/metrics/{metric}/players/{player_id}`."""
    metric, player_id = call.path["metric"], call.path["player_id"]
    found = await call.service.logs.balance(call.tenant_id, metric, player_id)
    return call.reading(
        {
            "metric": metric,
            "player_id": player_id,
            "balance": found.balance,
            "earned": found.earned,
            "spent": found.spent,
            "pending": found.pending,
            "transactions": found.transactions,
            "updated_at": instant(found.updated_at_ms),
        }
    )


async def transactions(call: Call) -> web.Response:
    """`GET /v1/metrics/{metric}/transactions`, newest first. A key that is bound to a player lists his."""
    metric, player_id, cursor = call.path["metric"], call.query["player_id"], call.query["cursor"]
    own = call.caller.player_id
    if own is not None and player_id not in (None, own):
        raise ApiError("forbidden", f"this key may act for player {own!r} only")
    player_id = player_id if own is None else own
    filters = ("transactions", metric, player_id)
    before = None if cursor is None else int(listing_key(cursor, filters, (int,))[0])
    rows, total, following = await call.service.logs.transactions(
        call.tenant_id, metric, player_id, before, call.query["limit"]
    )
    next_cursor = None if following is None else listing_cursor((following,), filters)
    items = [_transaction(call, row) for row in rows]
    return call.reading({"items": items, "total": total, "next_cursor": next_cursor})


async def transaction(call: Call) -> web.Response:
    """`GET /v1/metrics/{metric}/transactions/{transaction_id}`."""
    found = await call.service.logs.transaction(call.tenant_id, call.path["metric"], _seq(call))
    own = call.caller.player_id
    if own not in (None, found.player_id):
        raise ApiError("forbidden", f"this key may act for player {own!r} only")
    return call.reading(_transaction(call, found))


# Documents ------------------------------------------------------------------------------------------------


def _seq(call: Call) -> int:
    """The row that the path names."""
    seq = seq_of(call.path["transaction_id"])
    if seq is None:
        raise _no_transaction(call)
    return seq


def _no_transaction(call: Call) -> ApiError:
    name, metric = call.path["transaction_id"], call.path["metric"]
    return ApiError("transaction_not_found", f"no transaction {name[:128]!r} in metric {metric!r}")


def _outcome(outcome: RowOutcome) -> Document:
    seq, balance, earned, duplicate = outcome
    return {
        "transaction_id": transaction_id(seq),
        "seq": seq,
        "balance": balance,
        "earned": earned,
        "duplicate": duplicate,
    }


def _transaction(call: Call, row: Transaction) -> Document:
    metadata = metadata_reader(call.packed)
    return {
        "transaction_id": transaction_id(row.seq),
        "seq": row.seq,
        "player_id": row.player_id,
        "kind": row.kind,
        "state": row.state,
        "score": row.amount,
        "subscore": row.subscore,
        "submission_id": row.submission_id,
        "metadata": None if row.metadata is None else metadata(row.metadata),
        "occurred_at": instant(row.occurred_at_ms),
        "created_at": instant(row.created_at_ms),
        "settled_at": instant(row.settled_at_ms),
    }
