"""Definitions of modules and the files that have them: what a directory must hold to be one, and how it is told that it does not.

Graphs are parsed when they are instantiated, never before.
"""
