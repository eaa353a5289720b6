"""Settings of supervisor and period actors, for tests that run them in this process."""

from __future__ import annotations

import dataclasses
from typing import Any

from lbactors.actor_settings import ActorSettings
from lbactors.settings import ServerSettings


def actor_settings(**changes: Any) -> ActorSettings:
    """The defaults, with changes. `model_construct`: whatever the environment says."""
    server = ServerSettings.model_construct()
    made = server.for_actors(store_id="", server_id="test", server="a test", root_key_hash=None)
    return dataclasses.replace(made, **changes)
