"""Fixtures: a store of either kind, and the supervisor as granting sees it on that store."""

from tests.support.supervisor.rewards_world import url as url
from tests.support.supervisor.rewards_world import world as world
