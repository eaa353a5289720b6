"""What a server knows about its stores, kept apart from them: `server.json` in its data directory.

A store cannot tell that it was emptied, or brought back from a backup; somebody else must remember. So the
server notes, for the address of every store that it ran on, the id that the store was made with and the
highest epoch of a supervisor that it saw there. Both only ever go one way, so another id, or a lower epoch,
means that acknowledged scores may be missing, and the server asks before it goes on.

The file also holds the server's own id, made once: the name under which it claims a store, so that a server
that was killed takes its claim over at once, and another server waits. Two servers therefore never share a
copy of it. It is replaced as a whole and synced, so a crash leaves the old one or the new one.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from pathlib import Path
from typing import NamedTuple

from persistence.data_dir import FILE_MODE, KNOWLEDGE
from persistence.store import StoreError, StoreTooNew, StoreWentBack

FILE_NAME = KNOWLEDGE
FORMAT = 1


class Seen(NamedTuple):
    """What was seen at an address: the store's id and the highest supervisor epoch in it."""

    store_id: str
    epoch: int


class KnownStores:
    """`server_id`, and what is known of each address (`persistence.store_address`)."""

    def __init__(self, directory: Path) -> None:
        """Read the file; without one there is a new id and nothing is known. StoreError."""
        self._path = directory / FILE_NAME
        self.server_id = secrets.token_hex(16)
        self._seen: dict[str, Seen] = {}
        try:
            text = self._path.read_text()
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            raise self._unusable(str(error)) from None
        try:
            found = json.loads(text)
            if found["format"] > FORMAT:
                known = f"format {found['format']}; this version knows formats up to {FORMAT}"
                raise StoreTooNew(f"data directory {directory}: {FILE_NAME} has {known}")
            self.server_id = str(found["server_id"])
            for address, (store_id, epoch) in found["stores"].items():
                self._seen[address] = Seen(str(store_id), int(epoch))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._unusable(f"{type(error).__name__}: {error}") from None

    def _unusable(self, why: str) -> StoreError:
        return StoreError(
            f"data directory {self._path.parent}: {FILE_NAME} cannot be read ({why}); without it a store "
            "that was emptied or restored is not recognised. Delete it to start all the same"
        )

    def check(self, address: str, store_id: str, epoch: int) -> None:
        """StoreWentBack if the store that answers at an address is not the one known, or has a lower epoch.

        A store that is known is recognised at another address too; one that no supervisor ever ran on may
        go. The message goes after the store's name.
        """
        expected = self._seen.get(address)
        if expected is not None and expected.store_id != store_id and expected.epoch > 0:
            raise StoreWentBack(
                "was emptied or replaced since this server last used it: it was store "
                f"{expected.store_id} with supervisor epoch {expected.epoch}, and now is store {store_id} "
                f"with epoch {epoch}"
            )
        known = max((seen.epoch for seen in self._seen.values() if seen.store_id == store_id), default=0)
        if epoch < known:
            raise StoreWentBack(
                "went back since this server last used it (an older copy was restored, or its "
                f"last writes were lost): supervisor epoch {known} was seen in store {store_id}, and it is "
                f"at {epoch} now"
            )

    def note(self, address: str, store_id: str, epoch: int) -> None:
        """Remember what answers at an address, durably. OSError.

        Below what is known of this store, `epoch` becomes what is known: the caller went on with it.
        """
        kept = {
            place: Seen(store_id, min(seen.epoch, epoch)) if seen.store_id == store_id else seen
            for place, seen in self._seen.items()
        }
        kept[address] = Seen(store_id, epoch)
        if kept != self._seen:
            self._write(kept)
            self._seen = kept

    def keep(self) -> None:
        """Make the file if there is none yet, so that the server's id outlives a crash. OSError."""
        if not self._path.exists():
            self._write(self._seen)

    def _write(self, seen: dict[str, Seen]) -> None:
        body = json.dumps({"format": FORMAT, "server_id": self.server_id, "stores": seen}, indent=2) + "\n"
        draft = self._path.with_name(f"{FILE_NAME}.new")
        try:
            with contextlib.suppress(FileNotFoundError):
                draft.unlink()  # left by a crash, or a link that somebody else put there
            made = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
            with os.fdopen(made, "w") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)  # or the new name may be gone after a power loss
        finally:
            os.close(directory)
