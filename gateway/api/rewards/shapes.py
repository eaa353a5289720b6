"""Shapes of rewards: the rules in a definition, and what was won and claimed."""

from __future__ import annotations

from gateway.http.parameters import NUMBER_SCHEMA
from gateway.http.settings import GatewaySettings
from gateway.http.shapes import (
    BOOLEAN,
    COUNT,
    INSTANT,
    OBJECT,
    STRING,
    WINDOW,
    Schema,
    answer,
    closed,
    listing,
    or_null,
    ref,
    said,
)
from lbactors.rewards import PAYLOAD_BYTES, PAYLOADS_BYTES, TIERS

RANK_BOUND: Schema = {"type": "integer", "minimum": 1, "maximum": 100_000_000}


def _rules() -> dict[str, Schema]:
    """Of a definition."""
    return {
        "RewardRules": closed(
            {
                "tiers": said(
                    {"type": "array", "items": ref("RewardTier"), "minItems": 1, "maxItems": TIERS},
                    "Names are unique. All payloads together: at most "
                    f"{PAYLOADS_BYTES} bytes as compact JSON.",
                ),
                "grant": said(
                    {"type": "string", "enum": ["first", "every"], "default": "first"},
                    "A player wins the first tier that matches, in the order given, or every one.",
                ),
                "windows": said(
                    {
                        "type": "array",
                        "items": WINDOW,
                        "uniqueItems": True,
                        "minItems": 1,
                        "maxItems": 7,
                        "default": ["main"],
                    },
                    "Windows of the leaderboard whose periods have rewards.",
                ),
                "retain_days": said(
                    {"type": "integer", "minimum": 1, "maximum": 3650, "default": 90},
                    "How long after a closing rewards are kept and can be claimed, whatever becomes of the "
                    "period.",
                ),
            },
            ("tiers",),
            "What the players of each closed period win.",
        ),
        "RewardTier": closed(
            _tier(),
            ("name",),
            "Exactly one condition: ranks, `top_percent` or `score_threshold`. By the rank that is shown, so "
            "equals win alike.",
        ),
    }


def _tier() -> Schema:
    return {
        "name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$"},
        "rank_from": or_null(RANK_BOUND, "First rank that wins; with `rank_to`."),
        "rank_to": or_null(RANK_BOUND, "Last rank that wins, not before `rank_from`."),
        "top_percent": or_null(
            {"type": "number", "exclusiveMinimum": 0, "maximum": 100},
            "Ranks up to ceil(total × top_percent / 100) win.",
        ),
        "score_threshold": or_null(
            NUMBER_SCHEMA, "Scores at or beyond it win: from it up (order desc), from it down (asc)."
        ),
        "payload": said(
            OBJECT,
            "What the game makes of it: any JSON object whose integers fit in 64 bits; at most "
            f"{PAYLOAD_BYTES} bytes as compact JSON.",
            default={},
        ),
    }


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
    tier = answer({**_tier(), "winners": COUNT, "claimed": COUNT})
    return {
        **_rules(),
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
        "ClaimInput": closed(
            {
                "claim_id": or_null(
                    {"type": "string", "minLength": 1, "maxLength": 128},
                    "The claimant's own word for this claim, such as the id of a transaction.",
                )
            }
        ),
    }
