"""Every invariant of a server that lives in this process: the supervisor's, its actors', the gateways'."""

from __future__ import annotations

from collections.abc import Iterable

from lbactors.period_actor.actor import PeriodActor
from lbactors.service.catalogue import Catalogue
from lbactors.supervisor.supervisor import Supervisor


def check(
    supervisor: Supervisor | None, actors: Iterable[PeriodActor], catalogues: Iterable[Catalogue] = ()
) -> None:
    """Assert them. They hold whenever another task runs; of a supervisor from its `begin` to its end."""
    if supervisor is not None and not supervisor.state.is_over:
        for chain in supervisor.state.chains.values():
            chain.check()
        supervisor.hosting.check()
        supervisor.outbox.check()
        supervisor.hidden_players.labels.check()
    for actor in actors:
        for hosted in actor.chains.values():
            hosted.check()
    for catalogue in catalogues:
        catalogue.check()
