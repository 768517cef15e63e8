"""Broker, worker and sink under one command: started in order, watched, started again, stopped together."""
