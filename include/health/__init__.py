"""Is the system well? Checks that find problems, a record of them, and one digest to whoever runs the system."""
