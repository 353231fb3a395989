"""Backup and restore of everything that cannot be made anew: databases, files, logins, secrets (docs/backup.md)."""
