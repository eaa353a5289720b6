"""Rewards of closed periods: granted, claimed, and kept for their time."""
