"""The ledger: what arrived, what became of it, and what was decided."""
