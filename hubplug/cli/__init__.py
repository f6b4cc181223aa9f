"""The command ``hubplug``: the core's subcommands, those that plugins add, and the project that ``plugins new`` writes."""
