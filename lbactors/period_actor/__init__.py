"""The period actor: it journals, applies and answers for the chains of periods that it hosts.

Imports `wire`, `documents`, `core` and the contract of `persistence`; nothing of the supervisor or the
service.
"""
