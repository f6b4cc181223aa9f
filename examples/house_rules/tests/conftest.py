pytest_plugins = ["hubplug.testing"]
