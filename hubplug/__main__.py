"""``python -m hubplug``: the command line."""

from hubplug.cli import main

main()
