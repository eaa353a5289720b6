"""`lbactors bench`: load for a running server, and what it answered."""
