"""``python -m hubplug``: the command line."""

from hubplug.cli.main import main

main()
