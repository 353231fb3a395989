"""How the system speaks to people: one message, several channels (outbox file always; mail and webhook when set)."""
