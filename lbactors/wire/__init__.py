"""What travels between processes: messages, the connection that carries them, and how calls are batched.

Imports `core`.
"""
