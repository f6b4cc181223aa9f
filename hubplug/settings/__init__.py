"""Settings: which hubplug.yaml and environment are in effect, what options plugins take, and which plugins are made of them.

Nothing here asks a hook or touches a module.
"""
