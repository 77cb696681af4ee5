"""Tests of the log room: real files, real processes."""
