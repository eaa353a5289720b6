"""What is refused and why: the codes of the API with their HTTP status, and the one exception that carries
them.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from lbactors.core.findings import text_of

# One row an error code: the HTTP status it travels with.
ERROR_STATUS: dict[str, int] = {
    "malformed_body": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "leaderboard_not_found": 404,
    "period_not_found": 404,
    "entry_not_found": 404,
    "player_not_found": 404,
    "tenant_not_found": 404,
    "key_not_found": 404,
    "webhook_not_found": 404,
    "delivery_not_found": 404,
    "reward_not_found": 404,
    "held_submission_not_found": 404,
    "metric_not_found": 404,
    "transaction_not_found": 404,
    "route_not_found": 404,
    "method_not_allowed": 405,
    "leaderboard_exists": 409,
    "tenant_exists": 409,
    "period_exists": 409,
    "entry_exists": 409,
    "entry_removed": 409,
    "period_closed": 409,
    "period_not_open": 409,
    "rewards_pending": 409,
    "rewards_granted": 409,
    "leaderboard_inactive": 409,
    "leaderboard_not_writable": 409,
    "insufficient_balance": 409,
    "transaction_settled": 409,
    "webhook_limit": 409,
    "webhook_disabled": 409,
    "idempotency_conflict": 409,
    "held_submission_decided": 409,
    "version_mismatch": 412,
    "body_too_large": 413,
    "unsupported_media_type": 415,
    "validation_failed": 422,
    "submission_refused": 422,
    "rate_limited": 429,
    "overloaded": 429,
    "internal_error": 500,
    "period_loading": 503,
    "storage_unavailable": 503,
}


PERIODS_NAMED = "a period is current, previous or a period key"  # the end of what is said of an unknown one


class ApiError(Exception):
    """An answer other than success: one of the API's codes, a message for people, details by field.

    `details`: `{"loc": [...], "msg": "..."}` each. `retry_after_s`: set for 429 and 503.
    """

    def __init__(
        self,
        code: str,
        message: str,
        details: list[dict[str, Any]] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details or []
        self.status = ERROR_STATUS[code]
        if retry_after_s is None and self.status in (429, 503):
            retry_after_s = 1
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[Any, ...]:
        return ApiError.from_wire, (self.to_wire(),)

    def to_wire(self) -> list[Any]:
        """As a list that crosses a process boundary; `from_wire` inverts it."""
        return [self.code, self.message, self.details, self.retry_after_s]

    @classmethod
    def from_wire(cls, wire: list[Any]) -> ApiError:
        return cls(wire[0], wire[1], wire[2], wire[3])


def invalid(message: str, *loc: str | int) -> ApiError:
    """A 422 that names one field by its path."""
    return ApiError("validation_failed", f"{'.'.join(map(str, loc))}: {message}", [detail(message, *loc)])


def detail(message: str, *loc: str | int) -> dict[str, Any]:
    """One item of an error's `details`."""
    return {"loc": list(loc), "msg": message}


def invalid_from(
    error: ValidationError, *prefix: str | int, model: type[BaseModel] | None = None
) -> ApiError:
    """A 422 from pydantic's findings, at most 20 of them, each with its path after `prefix`. model: what was
    validated, so that an unknown field's message can name the one that was meant.
    """
    found = error.errors(include_url=False)
    found = [e for e in found if not _follows_from_others(e, found)][:20]
    details = [detail(text_of(e, model), *prefix, *e["loc"]) for e in found]
    first = details[0]
    return ApiError("validation_failed", f"{'.'.join(map(str, first['loc']))}: {first['msg']}", details)


def _follows_from_others(finding: ErrorDetails, found: list[ErrorDetails]) -> bool:
    """Whether a list counts as too short only because of what is wrong with its items."""
    loc = finding["loc"]
    return finding["type"] == "too_short" and any(
        e["loc"][: len(loc)] == loc and e is not finding for e in found
    )
