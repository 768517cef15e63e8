"""Evidence about one application: collected from Kafka, kept as files, checked without Kafka."""
