"""The supervisor: which leaderboards and periods there are, where they live, and all that changes them.

Imports `wire`, `documents`, `core` and the contract of `persistence`; nothing of the period actor or the
service.
"""
