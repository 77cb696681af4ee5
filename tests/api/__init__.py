"""Tests of the HTTP room's parts, and of the modules that it is configured and measured by."""
