"""The commands: what a person or a script at a terminal may do.

Promises: one line for every error, never a traceback; exit codes that scripts can trust; `--json` everywhere;
nothing printed that a terminal would obey. May use every room; holds no logic of claims of its own.
"""
