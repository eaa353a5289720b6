"""The rules of leaderboards, pure: no I/O, no clock, no asyncio, nothing of the other rooms.

What a definition means, which period an instant belongs to, what a submission does to a ranking, where chains
are placed. Instants are arguments.
"""
