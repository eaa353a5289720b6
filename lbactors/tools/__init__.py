"""What works on a store while no server does: `verify`, `migrate`, `repair`.

Imports `period_actor` (for how a period is read back), `documents`, `core` and `persistence`.
"""
