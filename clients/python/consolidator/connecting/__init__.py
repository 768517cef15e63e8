"""How to reach Kafka, for the client and the worker alike: settings, connections, and answers that are judged."""
