"""A second, naive implementation of the protocol, written from the chapters beside it.

It is for checking, not for use: clear before fast, standard library only. It shares nothing with
the product but the schemas.
"""
