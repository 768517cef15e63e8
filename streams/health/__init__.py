"""Health from outside: counts, the judgement of partitions, and the thread that answers probes and scrapes."""
