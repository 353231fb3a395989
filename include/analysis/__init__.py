"""Analyses that libraries do better than SQL: once a period, before dbt, into schema ``analysis``."""
