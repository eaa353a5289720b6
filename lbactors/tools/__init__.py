"""What works on a store while no server does: `verify`, `migrate`, `repair`."""
