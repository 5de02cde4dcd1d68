"""A circuit of transistors, resistors and capacitors that learns from its errors by itself
(docs/transistors.md).

A project beside the package: it shares ngspice, options and data sets with it.
"""
