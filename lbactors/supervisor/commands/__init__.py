"""What clients ask the supervisor to change, a module for each kind of thing. `runner` is the way in."""
