"""Laws of a cell, measured devices with presets and fits, and SPICE models of memristors."""
