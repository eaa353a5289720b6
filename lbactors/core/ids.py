"""Names of what is stored and hosted, in one place: how they are put together and taken apart.

    board     <tenant>/<leaderboard>~<uid>        uid: tells apart leaderboards that had the same id
    chain     <tenant>/<leaderboard>~<uid>/<window>
    period    <chain>/<serial>                    of a journal with its snapshots
    log       a period <tenant>/<metric>~metric-<8 hex>/main/1 or <tenant>/events~events-<8 hex>/main/1: its
              journal is kept
    document  <tenant>/<name>                     of a tenant's leaderboards, players…
              <chain>/<period key>                of a period's record

Tenants, leaderboards, windows and period keys have no `/` in their ids; players may.
"""

from __future__ import annotations

from typing import NamedTuple

# As JSON Schema has them; for re use fullmatch, where `$` allows a final newline.
LEADERBOARD_ID = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$"
TENANT_ID = r"^[a-z0-9][a-z0-9_-]{0,62}$"
TIER_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$"
NO_CONTROL_CHARACTERS = r"^[^\u0000-\u001f\u007f-\u009f]*$"
IDEMPOTENCY_KEY = r"^[!-~]{1,120}$"
LANGUAGE_TAG = r"^[A-Za-z]{1,8}([-_][A-Za-z0-9]{1,8})*$"
# For messages, and for the API's document, which shows them wherever a pattern is.
PATTERNS_IN_WORDS = {
    LEADERBOARD_ID: "1 to 128 letters (A-Z, a-z), digits, '_', '.', ':' and '-', the first a letter or digit",
    TENANT_ID: "1 to 63 lower-case letters (a-z), digits, '_' and '-', the first a letter or digit",
    TIER_NAME: "1 to 64 letters (A-Z, a-z), digits, '_', '.', ':' and '-', the first a letter or digit",
    NO_CONTROL_CHARACTERS: "text without control characters",
    IDEMPOTENCY_KEY: "1 to 120 visible ASCII characters",
    LANGUAGE_TAG: "a language tag such as `it` or `pt-BR`",
}


LOG_UIDS = ("metric-", "events-")  # how the uid of a log begins; those of leaderboards have hex digits only


class ChainName(NamedTuple):
    """A chain id, taken apart."""

    tenant_id: str
    leaderboard_id: str
    uid: str
    window: str


def board_uid(tenant_id: str, leaderboard_id: str, uid: str) -> str:
    return f"{tenant_id}/{leaderboard_id}~{uid}"


def chain_id(tenant_id: str, leaderboard_id: str, uid: str, window: str) -> str:
    return f"{tenant_id}/{leaderboard_id}~{uid}/{window}"


def parse_chain(chain_id: str) -> ChainName:
    """ValueError for another name."""
    tenant_id, board, window = chain_id.split("/")
    leaderboard_id, _, uid = board.rpartition("~")
    return ChainName(tenant_id, leaderboard_id, uid, window)


def is_log(name: str) -> bool:
    """Whether a board, chain or period is that of a log."""
    _, _, rest = name.partition("/")
    _, tilde, uid = rest.partition("/")[0].rpartition("~")
    return bool(tilde) and uid.startswith(LOG_UIDS)


def metric_of(name: ChainName) -> str | None:
    """The metric of a log's chain; None of a log of events."""
    return name.leaderboard_id if name.uid.startswith(LOG_UIDS[0]) else None


def in_words(chain_id: str) -> str:
    """A chain as operators read it."""
    name = parse_chain(chain_id)
    if is_log(chain_id):
        metric = metric_of(name)
        return f"{'events' if metric is None else f'metric {metric!r}'} of tenant {name.tenant_id!r}"
    return f"leaderboard '{name.leaderboard_id}' of tenant '{name.tenant_id}', window '{name.window}'"


def board_of_chain(chain_id: str) -> str:
    """The board of a chain, as `board_uid` names it."""
    return chain_id.rpartition("/")[0]


def window_of_chain(chain_id: str) -> str:
    return chain_id.rpartition("/")[2]


def in_chain(chain_id: str, name: str | int) -> str:
    """A period by its serial, or the document of a period's record by its key."""
    return f"{chain_id}/{name}"


def chain_of(name: str) -> str:
    """Inverts `in_chain`: the chain."""
    return name.rpartition("/")[0]


def in_tenant(tenant_id: str, name: str) -> str:
    """A document of a tenant; with an empty name, what the ids of all of them begin with."""
    return f"{tenant_id}/{name}"


def log_document(tenant_id: str, metric: str | None) -> str:
    """The document of a metric's log, or of the log of a tenant's events (None)."""
    return in_tenant(tenant_id, "events" if metric is None else f"metric/{metric}")


def split_tenant(doc_id: str) -> tuple[str, str]:
    """Inverts `in_tenant`: the tenant, and the name within it. ValueError if there is no tenant."""
    tenant_id, name = doc_id.split("/", 1)
    return tenant_id, name


def tenant_of(name: str) -> str:
    """Of a document, board, chain or period."""
    return name.partition("/")[0]
