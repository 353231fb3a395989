"""Removing what need not be kept any longer, by configuration, and recording what went (docs/retention.md)."""
