"""The SQL model: a database that shows what a partition's events came to, moved by cuts (``docs/decisions/0028``)."""
