"""Routes of rewards: who won what when a period closed, and claims."""

from __future__ import annotations

from dataclasses import replace

from gateway.api.rewards import examples as example
from gateway.api.rewards import handlers
from gateway.http.openapi import Answer, Body, Route
from gateway.http.parameters import boolean, text
from gateway.http.shared_parameters import BOARD, PERIOD_WORDS, READ_CODES, Shared

STATES = (
    "`state`: `pending` (the period is not closed; `tiers` says what can be won now), `granting` (closed, "
    "winners are still being added), `granted`, or `none` (nothing to win, or nobody took part)."
)


def routes(s: Shared) -> tuple[Route, ...]:
    """Rewards of a period, of a player, and a claim."""
    period = text("period_key", PERIOD_WORDS, "path", example="previous")
    claimed = replace(
        boolean("claimed", "Only those that were, or were not, claimed.", False),
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
            "List what players won, best rank first",
            Answer(200, "A page of winners.", "RewardPage", example.REWARD_PAGE),
            f"{STATES} A filtered page may be shorter than `limit`; `next_cursor` leads on.",
            scopes=("rankings:read",),
            parameters=(
                s.board,
                period,
                s.window,
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
            "Read what a player won",
            Answer(200, "The reward.", "Reward", example.REWARD),
            scopes=("rankings:read",),
            parameters=(s.board, period, s.player, s.window, s.if_none_match),
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
            "Claim what a player won",
            Answer(200, "The reward, claimed; a repeat gets the same.", "Reward", example.REWARD),
            "The first claim decides: `claimed_at` and `claim_id` of the answer are its own for ever. Of two "
            "claimants with ids of their own, the one that finds its `claim_id` in the answer was first.",
            scopes=("scores:write", "players:write"),
            own_player="path",
            parameters=(s.board, period, s.player, s.window, s.idempotency_key),
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
            "List what a player won on all leaderboards, newest first",
            Answer(200, "A page of rewards.", "RewardListing"),
            scopes=("rankings:read",),
            parameters=(s.player, claimed, s.limit, s.offset, s.cursor, s.if_none_match),
            etag=True,
            python="player_rewards(player_id, claimed=)",
            sample_query={"claimed": False},
        ),
    )
