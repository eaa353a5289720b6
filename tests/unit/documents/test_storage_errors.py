"""What a caller is told when the store fails him."""

from __future__ import annotations

import pytest

from lbactors.core.errors import ApiError
from lbactors.documents.storage_errors import storage_errors
from persistence.store import StoreCorrupt, StoreUnavailable


@pytest.mark.parametrize("kind", [StoreUnavailable, StoreCorrupt])
def test_whatever_the_store_raises_is_storage_unavailable(kind: type[Exception]) -> None:
    with pytest.raises(ApiError, match="disk full") as raised, storage_errors():
        raise kind("disk full")
    assert (raised.value.code, raised.value.status) == ("storage_unavailable", 503)
    assert isinstance(raised.value.__cause__, kind)


def test_nothing_else_is_touched() -> None:
    with pytest.raises(KeyError), storage_errors():
        raise KeyError("x")
    with storage_errors():
        pass
