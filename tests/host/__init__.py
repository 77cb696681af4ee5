"""The roles, as far as they can be judged on the controller; `live/` needs a host."""
