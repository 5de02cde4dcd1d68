"""A circuit of transistors, resistors and capacitors that learns from its errors by itself (docs/transistors.md)."""
