"""Shapes of rewards: the rules in a definition, and what was won and claimed."""

from __future__ import annotations

from gateway.http.model_shapes import model_shape
from gateway.http.parameters import NUMBER_SCHEMA
from gateway.http.settings import GatewaySettings
from gateway.http.shapes import (
    BOOLEAN,
    COUNT,
    INSTANT,
    OBJECT,
    STRING,
    Schema,
    answer,
    listing,
    or_null,
    ref,
    said,
)
from lbactors.core.reward_rules import RewardRules, Tier
from lbactors.documents.rewards import ClaimBody


def shapes(settings: GatewaySettings) -> dict[str, Schema]:
    """Of rules, and of what was won."""
    won: Schema = {
        "player_id": STRING,
        "rank": {"type": "integer", "minimum": 1},
        "score": NUMBER_SCHEMA,
        "rewards": said(
            {"type": "array", "items": answer({"tier": STRING, "payload": OBJECT})},
            "The tiers that the player won, in the order of the rules.",
        ),
        "claimed": BOOLEAN,
        "claimed_at": or_null(INSTANT),
        "claim_id": or_null(STRING, "The `claim_id` of the first claim."),
    }
    head: Schema = {"leaderboard_id": STRING, "period": ref("PagePeriod")}
    times: Schema = {
        "granted_at": or_null(INSTANT, "When the period closed and its rewards were fixed."),
        "expires_at": or_null(INSTANT, "Until when the rewards are kept and can be claimed."),
    }
    rule = model_shape(
        Tier,
        "Needs exactly one condition: a range of ranks, `top_percent` or `score_threshold`. The displayed "
        "rank counts, so players with equal ranks win alike.",
    )
    tier = answer({**rule["properties"], "winners": COUNT, "claimed": COUNT})
    return {
        "RewardRules": model_shape(RewardRules, "What players win when a period closes."),
        "RewardTier": rule,
        "RewardPage": answer(
            {
                **head,
                "state": {"type": "string", "enum": ["pending", "granting", "granted", "none"]},
                "grant": or_null({"type": "string", "enum": ["first", "every"]}, "Null in state `none`."),
                "tiers": said(
                    {"type": "array", "items": tier},
                    "The tiers as of the period's closing; while the state is `pending`, the current ones.",
                ),
                "winners": said(COUNT, "Number of players with rewards so far."),
                "claimed": said(COUNT, "How many of them have claimed."),
                **times,
                "items": {
                    "type": "array",
                    "items": answer({**won, "display_name": or_null(STRING)}),
                },
                "total": said(COUNT, "Total number of items that match the filter."),
                "next_cursor": or_null(
                    STRING, "Send it as `cursor` to read the next page; null on the last page."
                ),
            }
        ),
        "Reward": answer({**head, **won, **times}),
        "RewardListing": listing("Reward"),
        "ClaimInput": model_shape(ClaimBody),
    }
