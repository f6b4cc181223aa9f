"""What of the program around reaches the making of graphs: which graph takes state, autograph, the garbage collector.

Nothing here knows a module; what is wrong is told in a sentence.
"""
