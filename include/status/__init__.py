"""The status page inside Airflow's UI: who has reported, what was found, which reports were issued, what waits.

For the people who run the system. Reads the ledger and changes nothing; imports no Airflow: ``plugins/`` mounts
:func:`include.status.app.create_app` and says who may see it.
"""
