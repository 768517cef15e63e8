"""The canary: events of our own, from their publication to the change that a subscriber reads (docs/decisions/0035).

``ids`` makes what is published, ``residue`` keeps what is to be erased, ``rounds`` is one round after the other,
``figures`` are the metrics. ``kafka_steps``, ``publication`` and ``erasing`` are what is done in Kafka.
"""
