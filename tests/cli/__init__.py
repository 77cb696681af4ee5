"""The command line, run as a process wherever a process is what a user would meet."""
