"""What a caller is told when the store fails him."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lbactors.core.errors import ApiError
from persistence.store import StoreError


def storage_unavailable(error: StoreError) -> ApiError:
    return ApiError("storage_unavailable", str(error))


@contextmanager
def storage_errors() -> Iterator[None]:
    """Whatever the store raises in here becomes ApiError storage_unavailable."""
    try:
        yield
    except StoreError as error:
        raise storage_unavailable(error) from error
