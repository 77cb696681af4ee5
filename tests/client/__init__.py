"""The Python client, against real servers and real broken connections."""
