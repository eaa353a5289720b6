"""How a period actor answers: a value, an error, or that the chain is not there or asleep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from lbactors.core.errors import ApiError

# [VALUE, value]; [ERROR, error]; [NOT_HERE]: the chain is not, or no longer, hosted there; [ASLEEP]: its open
# period sleeps, or is just being woken, and nothing was taken: ask again after `wake`.
VALUE, ERROR, NOT_HERE, ASLEEP = STATUSES = range(4)


class Reply(NamedTuple):
    """One of the four. `value`: what was asked for, or `ApiError.to_wire`."""

    status: int
    value: Any = None

    def to_wire(self) -> Sequence[Any]:
        return self if self.status <= ERROR else (self.status,)

    @classmethod
    def from_wire(cls, wire: Sequence[Any]) -> Reply:
        """ValueError if it is none of the four: then nobody knows what became of the operation."""
        reply = cls(*wire) if 1 <= len(wire) <= 2 else None
        if reply is None or reply.status not in STATUSES:
            raise ValueError(f"a reply of no known kind: {wire!r:.200}")
        return reply

    @classmethod
    def of_error(cls, error: ApiError) -> Reply:
        return cls(ERROR, error.to_wire())

    @property
    def error(self) -> ApiError | None:
        """The error that it is, if it is one."""
        return ApiError.from_wire(self.value) if self.status == ERROR else None

    def result(self) -> Any:
        """The value. ApiError: the error that it is, or period_loading where nothing was taken."""
        if self.status == VALUE:
            return self.value
        raise self.error or ApiError("period_loading", "the period is being loaded")


class NotTaken(ApiError):
    """Nothing was taken, and whoever sent it is to ask again: `reply_status`, of a `Reply`."""

    def __init__(self, reply_status: int) -> None:
        super().__init__("period_loading", "the period is being loaded")
        self.reply_status = reply_status
