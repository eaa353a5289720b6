"""`lbactors demo`: a server of its own, a simulated game, a live view."""
