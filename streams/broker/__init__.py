"""A real Apache Kafka broker from Python packages alone: no Docker, no Java and no Maven needed."""
