"""What travels between processes: messages, the connection that carries them, and how calls are batched.

Each message is a class, with `to_wire` and `from_wire` where its fields need more than packing. Fields are
only ever added at the end, with a default: a process of the release before reads what it knows.

Imports `documents` and `core`.
"""
