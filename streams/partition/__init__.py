"""The fold of one partition: records in; changes, rows and dead letters out. No Kafka client, no Faust, no RocksDB."""
