"""What happens to a host after its first day: upgrades, drift, interrupted runs, farewell."""
