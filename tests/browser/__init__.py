"""The pages that the service serves, opened in a real browser."""
