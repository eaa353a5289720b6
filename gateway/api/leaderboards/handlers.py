"""Definitions (API section 2).

Reads come from the catalogue and the service. Writes go to the supervisor as they came: it validates
definitions, compares versions, and its answer is passed on. Here an `If-Match` becomes a version, and
nothing else is understood.
"""

from __future__ import annotations

from urllib.parse import quote

from aiohttp import web

from gateway.http.call import Call
from gateway.http.cursors import SortKey
from gateway.http.listings import listing_of
from lbactors.core.errors import ApiError
from lbactors.core.model import Board
from lbactors.core.presentation import languages
from lbactors.documents.entities import board_json
from lbactors.service.service import AdminAnswer
from lbactors.wire.commands import ArchiveLeaderboard, CreateLeaderboard, PatchLeaderboard, PurgeLeaderboard

SORTS = ("display_order", "leaderboard_id", "name", "created_at", "updated_at")
STATUSES = ("active", "inactive", "archived")


def sort_values() -> tuple[str, ...]:
    """What `sort` may be: each field, and with '-' in falling order."""
    return (*SORTS, *(f"-{name}" for name in SORTS))


async def create(call: Call) -> web.Response:
    """`POST /v1/leaderboards`."""
    definition, idempotency = await call.document()
    answer = await call.admin(CreateLeaderboard(definition=definition), call.tenant_id, idempotency)
    leaderboard_id = str(answer.body.get("leaderboard_id", ""))
    return call.admin_answer(
        answer, {**_tag(answer), "Location": f"/v1/leaderboards/{quote(leaderboard_id, safe='')}"}
    )


async def list_all(call: Call) -> web.Response:
    """`GET /v1/leaderboards`."""
    status, search, sort = call.query["status"], call.query["search"], call.query["sort"]
    lang = call.query["lang"]
    boards = call.boards()
    if status is not None:
        boards = [board for board in boards if board.definition.status == status]
    if search:
        needle = search.casefold()
        boards = [board for board in boards if _matches(board, needle, lang)]
    if lang is not None:
        boards = [_in_language(board, lang) for board in boards]
    field = sort.removeprefix("-")
    falling = sort.startswith("-")
    # What decides between equals is in rising order both ways: two stable sorts.
    boards.sort(key=lambda board: _sort_key(board, field)[1:])
    boards.sort(key=lambda board: _sort_key(board, field)[0], reverse=falling)
    return listing_of(
        call,
        boards,
        board_json,
        lambda board: _sort_key(board, field),
        "leaderboards",
        status,
        search,
        sort,
        *(() if lang is None else (lang,)),
        falling=falling,
    )


def _matches(board: Board, needle: str, lang: str | None) -> bool:
    """Whether a text is in the id or the name, be it the leaderboard's own or that in a language."""
    names = [board.leaderboard_id, board.definition.name]
    if lang is not None:
        names.append(board.definition.in_language(lang).name)
    return any(needle in name.casefold() for name in names)


def _in_language(board: Board, lang: str) -> Board:
    return board._replace(definition=board.definition.in_language(lang))


def _sort_key(board: Board, field: str) -> SortKey:
    leaderboard_id = board.leaderboard_id
    if field == "display_order":
        return board.definition.display_order, board.created_at_ms, leaderboard_id
    if field == "name":
        return board.definition.name.casefold(), leaderboard_id
    if field == "created_at":
        return board.created_at_ms, leaderboard_id
    return (board.updated_at_ms, leaderboard_id) if field == "updated_at" else (leaderboard_id,)


async def get(call: Call) -> web.Response:
    """`GET /v1/leaderboards/{leaderboard_id}`."""
    board, lang = await call.board(), call.query["lang"]
    etag = f'"{board.version}"'
    if lang is not None and (served_by := languages(board.definition.translations, lang)):
        # The closest tag decides on the others, and with the version on the whole answer.
        board, etag = _in_language(board, lang), f'"{board.version}-{served_by[0]}"'
    if board.definition.scoring.source != "scores":
        # How far it is changes with no version: the tag is good for If-Match, and not for a 304.
        status = await call.service.logs.projection(board)
        document = {**board_json(board), "projection": None if status is None else status._asdict()}
        return call.answer(document, headers={"ETag": f"W/{etag}"})
    if call.not_modified(etag):
        return web.Response(status=304, headers={"ETag": etag})
    return call.answer(board_json(board), headers={"ETag": etag})


async def patch(call: Call) -> web.Response:
    """`PATCH /v1/leaderboards/{leaderboard_id}`."""
    board = await call.board()
    changes, idempotency = await call.document()
    answer = await call.admin(
        PatchLeaderboard(leaderboard_id=board.leaderboard_id, patch=changes, if_match=_version(call, board)),
        call.tenant_id,
        idempotency,
    )
    return call.admin_answer(answer, _tag(answer))


async def delete(call: Call) -> web.Response:
    """`DELETE /v1/leaderboards/{leaderboard_id}`: archives, or purges."""
    board = await call.board()
    command = PurgeLeaderboard if call.query["purge"] else ArchiveLeaderboard
    answer = await call.admin(command(board.leaderboard_id), call.tenant_id)
    return call.admin_answer(answer)


def _tag(answer: AdminAnswer) -> dict[str, str]:
    version = answer.body.get("version")
    return {"ETag": f'"{version}"'} if version is not None else {}


def _version(call: Call, board: Board) -> int | None:
    """The version that `If-Match` asks for; None for any. A header that names no possible version is a 412.

    Of several versions only the present one can match; if it is not among them, the supervisor, which may
    know a newer one than the catalogue here, is left to judge the first. The tag of a translated answer
    (`3-it`) names its version, too.
    """
    tags = call.if_match()
    if tags is None or "*" in tags:
        return None
    named = (tag.partition("-")[0] for tag in tags)
    versions = [int(tag) for tag in named if tag.isascii() and tag.isdigit() and len(tag) < 16]
    if not versions:
        raise ApiError("version_mismatch", "If-Match names no version of a leaderboard")
    return board.version if board.version in versions else versions[0]
