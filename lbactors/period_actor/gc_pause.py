"""The garbage collector while a large period is loaded.

Loading makes millions of objects that stay, and none of them is part of a cycle. The collector would look at
all of them again and again (a tenth of the time), and hold the interpreter's lock for 0.1 s where it looks at
a million at once. So it rests meanwhile, and what was made is then counted among the old objects without a
look: `gc.freeze` moves every object into a list of its own, `gc.unfreeze` that list to the oldest generation;
both take the same few microseconds whatever the number. Cycles that others leave behind in the meantime are
collected later, with the oldest generation, but not lost.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_resting = 0  # users of `resting` at the moment
_was_enabled = True


@contextmanager
def resting() -> Iterator[None]:
    """No automatic collection in this process while any thread or task is in here."""
    global _resting, _was_enabled
    with _lock:
        if not _resting:
            _was_enabled = gc.isenabled()
            gc.disable()
        _resting += 1
    try:
        yield
    finally:
        with _lock:
            _resting -= 1
            if not _resting:
                gc.freeze()
                gc.unfreeze()
                if _was_enabled:
                    gc.enable()
