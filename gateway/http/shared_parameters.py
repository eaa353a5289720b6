"""Parameters and error codes that many routes have in common."""

from __future__ import annotations

from typing import NamedTuple

from gateway.http.parameters import Parameter, choice, identifier, integer, text, time_zone
from gateway.http.settings import GatewaySettings
from lbactors.core.definition import WINDOWS
from lbactors.core.ids import IDEMPOTENCY_KEY
from lbactors.core.numbers import MAX_EXACT_INTEGER

BOARD = "/v1/leaderboards/{leaderboard_id}"
READ_CODES = ("leaderboard_not_found", "period_not_found", "overloaded")
SUBMIT_CODES = (
    "leaderboard_not_found",
    "leaderboard_inactive",
    "leaderboard_not_writable",
    "period_not_open",
    "period_closed",
    "overloaded",
)
WINDOW_NAMES = tuple(WINDOWS)
STATUSES = ("active", "disabled")  # of tenants and of keys that are not deleted
PERIOD_WORDS = "`current`, `previous`, or a period key such as `2026-W47`."


class Shared(NamedTuple):
    """Parameters that several routes have, under the limits of the settings."""

    board: Parameter
    player: Parameter
    window: Parameter
    any_window: Parameter
    period: Parameter
    limit: Parameter
    offset: Parameter
    cursor: Parameter
    idempotency_key: Parameter
    if_none_match: Parameter
    viewer: Parameter
    timezone: Parameter
    asker: Parameter
    settings: GatewaySettings


def shared_parameters(settings: GatewaySettings) -> Shared:
    """The shared parameters under the limits of the settings."""
    most = settings.page_limit
    viewer = text(
        "X-Player-Id",
        "The player who asks: 403 if `audience.view` lacks the player. The player that the key is "
        "bound to must belong, too.",
        "header",
        example="p1",
    )
    return Shared(
        board=text("leaderboard_id", "Id of a leaderboard.", "path", example="xp-weekly-global"),
        player=identifier("player_id", "Id of a player.", settings.id_length),
        window=choice(
            "window", "The window; `main` is the leaderboard's own timeframe.", WINDOW_NAMES, "main"
        ),
        any_window=choice("window", "Only this window; all windows by default.", WINDOW_NAMES, None),
        period=text("period", PERIOD_WORDS, default="current", max_length=160),
        limit=integer("limit", "Maximum number of items in the answer.", 1, most, min(20, most)),
        offset=integer(
            "offset", "Number of items to skip; cannot be combined with `cursor`.", 0, MAX_EXACT_INTEGER, 0
        ),
        cursor=text("cursor", "`next_cursor` or `prev_cursor` of an earlier answer.", format="cursor"),
        idempotency_key=text(
            "Idempotency-Key",
            "Makes the request safe to repeat: the same key gets the first answer again; with another body "
            "it is a 409.",
            "header",
            pattern=IDEMPOTENCY_KEY,
        ),
        if_none_match=text(
            "If-None-Match",
            "The `ETag` of an answer that you have; if it is still current, the answer is 304.",
            "header",
        ),
        viewer=viewer,
        asker=viewer.described("The player who asks. It only matters for `timezone`."),
        timezone=time_zone(
            "timezone",
            "The zone whose `current` and `previous` periods are meant, on a leaderboard with timezone "
            "`player`. By default that of the player whom the key or `X-Player-Id` names, else UTC. Ignored "
            "on others.",
        ),
        settings=settings,
    )
