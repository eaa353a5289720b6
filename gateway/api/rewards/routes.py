"""Routes of rewards: who won what when a period closed, and claims."""

from __future__ import annotations

from dataclasses import replace

from gateway.api.rewards import examples as example
from gateway.api.rewards import handlers
from gateway.http.openapi import Answer, Body, Route
from gateway.http.parameters import boolean, text
from gateway.http.shared_parameters import BOARD, PERIOD_WORDS, READ_CODES, Shared

STATES = (
    "`state` is `pending` (the period is not closed; `tiers` shows what can be won), `granting` (closed; "
    "winners are still being added), `granted`, or `none` (there was nothing to win, or nobody took part)."
)


def routes(s: Shared) -> tuple[Route, ...]:
    """Rewards of a period, of a player, and a claim."""
    period = text("period_key", PERIOD_WORDS, "path", example="previous")
    claimed = replace(
        boolean("claimed", "Only rewards that were claimed (`true`), or not (`false`).", False),
        schema={"type": "boolean"},
        default=None,
    )
    one = f"{BOARD}/periods/{{period_key}}/rewards/{{player_id}}"
    return (
        Route(
            "GET",
            f"{BOARD}/periods/{{period_key}}/rewards",
            handlers.of_period,
            "rewards_of_period",
            "Rewards",
            "List a period's rewards",
            Answer(200, "A page of winners, best rank first.", "RewardPage", example.REWARD_PAGE),
            f"{STATES} With a filter, a page may be shorter than `limit` and still have a `next_cursor`.",
            scopes=("rankings:read",),
            parameters=(
                s.board,
                period,
                s.window,
                s.timezone,
                s.asker,
                replace(s.player, where="query", description="Only this player."),
                text("tier", "Only winners of the tier with this name.", max_length=64),
                claimed,
                s.limit,
                s.cursor,
                s.if_none_match,
            ),
            codes=READ_CODES,
            etag=True,
            python="rewards(leaderboard_id, period_key, limit=)",
            sample_query={"limit": 10},
        ),
        Route(
            "GET",
            one,
            handlers.of_period_and_player,
            "rewards_of_period_and_player",
            "Rewards",
            "Read a player's reward",
            Answer(200, "The reward.", "Reward", example.REWARD),
            scopes=("rankings:read",),
            parameters=(s.board, period, s.player, s.window, s.timezone, s.asker, s.if_none_match),
            codes=(*READ_CODES, "reward_not_found", "rewards_pending"),
            etag=True,
            python="reward(leaderboard_id, period_key, player_id)",
        ),
        Route(
            "POST",
            f"{one}/claim",
            handlers.claim,
            "rewards_claim",
            "Rewards",
            "Claim a reward",
            Answer(200, "The claimed reward; a repeat gets the same answer.", "Reward", example.REWARD),
            "The first claim decides: every later answer has its `claimed_at` and `claim_id`. If two "
            "servers claim at once with different ids, the one that gets its own `claim_id` back was first.",
            scopes=("scores:write", "players:write"),
            own_player="path",
            parameters=(s.board, period, s.player, s.window, s.timezone, s.asker, s.idempotency_key),
            body=Body("ClaimInput", example.CLAIM, required=False),
            codes=(*READ_CODES, "reward_not_found", "rewards_pending", "idempotency_conflict"),
            python="claim_reward(leaderboard_id, period_key, player_id, claim_id=)",
        ),
        Route(
            "GET",
            "/v1/players/{player_id}/rewards",
            handlers.of_player,
            "rewards_of_player",
            "Rewards",
            "List a player's rewards",
            Answer(200, "A page of rewards on all leaderboards, newest first.", "RewardListing"),
            scopes=("rankings:read",),
            parameters=(s.player, claimed, s.limit, s.offset, s.cursor, s.if_none_match),
            etag=True,
            python="player_rewards(player_id, claimed=)",
            sample_query={"claimed": False},
        ),
    )
