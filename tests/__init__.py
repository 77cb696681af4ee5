"""Tests of the service, its client and its commands; hosts are tested in molecule/."""
