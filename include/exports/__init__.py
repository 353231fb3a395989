"""Tables that other offices ask for at fixed days of the year, written from the marts into the outbox."""
