"""Tests against a real service process on a loopback port."""
