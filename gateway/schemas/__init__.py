"""JSON schemas of everything that travels, as the components of the OpenAPI document.

Requests are closed (`additionalProperties: false`, unknown fields are a 422) and give every limit that JSON
Schema can say; where a rule spans several fields, the description says it. Answers are given in full: all
their fields are required unless a description tells when they are there.

A test holds the schemas of definitions, keys, tenants and profiles against the pydantic models that judge
them.
"""

from __future__ import annotations

from gateway.schemas.administration import administration, players
from gateway.schemas.held import held
from gateway.schemas.leaderboards import definitions, periods
from gateway.schemas.moderation import moderation
from gateway.schemas.rewards import reward_rules, rewards
from gateway.schemas.scores import rankings, submissions
from gateway.schemas.webhooks import webhooks
from gateway.schemas.words import STRING, Schema, answer, ref, said
from gateway.settings import GatewaySettings
from lbactors.core.errors import ERROR_STATUS


def components(settings: GatewaySettings) -> dict[str, Schema]:
    """All components, by name."""
    return {
        **errors(),
        **definitions(),
        **periods(),
        **reward_rules(),
        **rewards(),
        **submissions(settings),
        **rankings(settings),
        **players(),
        **held(),
        **administration(settings),
        **moderation(),
        **webhooks(),
    }


def errors() -> dict[str, Schema]:
    """The envelope of API section 1."""
    return {
        "Error": answer(
            {
                "error": answer(
                    {
                        "code": {"type": "string", "enum": list(ERROR_STATUS)},
                        "message": said(STRING, "For people."),
                        "status": said({"type": "integer"}, "The HTTP status."),
                        "details": {"type": "array", "items": ref("ErrorDetail")},
                    }
                )
            },
            description="Every answer that is no success, also for unknown routes and crashes.",
        ),
        "ErrorDetail": answer(
            {
                "loc": said(
                    {"type": "array", "items": {"type": ["string", "integer"]}},
                    "Path of the field, from `body`, `query`, `path` or `header` on.",
                ),
                "msg": STRING,
            }
        ),
    }
