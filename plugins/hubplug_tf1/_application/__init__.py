"""A signature of a module over its state: what is fed, which ops are made and how, what tapes are told, what comes back.

``instance`` is what a Module is made of; each of the other files is one decision of it.
"""
