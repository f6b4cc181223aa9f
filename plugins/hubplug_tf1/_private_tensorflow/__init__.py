"""Every private name of TensorFlow that this plugin uses, each with the reason why no public one does.

What a new release can break without notice is here and nowhere else; where a name is gone, the public and slower way is
taken, or what is lost is said with the name and the version. The tests take each name away in turn.
"""
