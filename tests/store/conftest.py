"""The contract suite and its like are not collected by name, so their asserts are rewritten on request."""

import pytest

ASSERTING = ("backend", "child", "contract", "contract_repair", "contract_use", "model", "redis_backend")

pytest.register_assert_rewrite(*(f"{__package__}.{name}" for name in ASSERTING))
