"""The contract suite and its like are not collected by name, so their asserts are rewritten on request."""

import pytest

ASSERTING = ("child", "contract", "model", "redis_backend")

pytest.register_assert_rewrite(*(f"{__package__}.{name}" for name in ASSERTING))
