"""The contract suite is not collected by its name, so its asserts are rewritten on request."""

import pytest

pytest.register_assert_rewrite(f"{__package__}.contract", f"{__package__}.model")
