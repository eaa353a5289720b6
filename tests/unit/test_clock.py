"""The clock file: one offset for all processes, and nobody else's to move."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbactors.clock import Clock


def test_one_offset_for_all_who_map_the_file(tmp_path: Path) -> None:
    first, second = Clock(str(tmp_path / "clock")), Clock(str(tmp_path / "clock"))
    before_ms = second.now_ms()
    first.move(3_600_000)
    assert 3_600_000 <= second.now_ms() - before_ms < 3_700_000
    with pytest.raises(ValueError, match="file"):
        Clock().move(1)


@pytest.mark.parametrize("left", [None, 0o666])
def test_the_file_is_for_its_owner_alone(tmp_path: Path, left: int | None) -> None:
    file = tmp_path / "clock"
    if left is not None:
        file.write_bytes(bytes(8))
        file.chmod(left)
    Clock(str(file))
    assert file.stat().st_mode & 0o777 == 0o600
