"""Scripts behind the Makefile's targets; not part of the product."""
