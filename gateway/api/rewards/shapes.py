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
            "Tiers that the player won, in the order of the rules.",
        ),
        "claimed": BOOLEAN,
        "claimed_at": or_null(INSTANT),
        "claim_id": or_null(STRING, "What the first claim gave."),
    }
    head: Schema = {"leaderboard_id": STRING, "period": ref("PagePeriod")}
    times: Schema = {
        "granted_at": or_null(INSTANT, "When the period was closed and its rewards were promised."),
        "expires_at": or_null(INSTANT, "Until when rewards are kept and can be claimed."),
    }
    rule = model_shape(
        Tier,
        "Exactly one condition: ranks, `top_percent` or `score_threshold`. By the rank that is shown, so "
        "equals win alike.",
    )
    tier = answer({**rule["properties"], "winners": COUNT, "claimed": COUNT})
    return {
        "RewardRules": model_shape(RewardRules, "What the players of each closed period win."),
        "RewardTier": rule,
        "RewardPage": answer(
            {
                **head,
                "state": {"type": "string", "enum": ["pending", "granting", "granted", "none"]},
                "grant": or_null({"type": "string", "enum": ["first", "every"]}, "Null for state `none`."),
                "tiers": said(
                    {"type": "array", "items": tier},
                    "As they were when the period closed; while it is `pending`, as they are now.",
                ),
                "winners": said(COUNT, "Players with rewards, so far."),
                "claimed": said(COUNT, "Of them, those that have claimed."),
                **times,
                "items": {
                    "type": "array",
                    "items": answer({**won, "display_name": or_null(STRING)}),
                },
                "total": said(COUNT, "How many there are in all under this filter."),
                "next_cursor": or_null(STRING, "For `cursor`; null on the last page."),
            }
        ),
        "Reward": answer({**head, **won, **times}),
        "RewardListing": listing("Reward"),
        "ClaimInput": model_shape(ClaimBody),
    }
