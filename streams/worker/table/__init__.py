"""The table's RocksDB: its rows, its databases, its recovery from the changelog."""
