"""Fixtures: a supervisor without leaderboards, and a receiver of webhooks."""

from tests.support.supervisor.outbox import outbox as outbox
from tests.support.supervisor.outbox import receiver as receiver
from tests.support.supervisor.outbox import where as where
