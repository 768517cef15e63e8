"""The Faust application: agent, table and the transport that hands it one partition's batch at a time."""
