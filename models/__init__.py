"""Pure data: events, execution state, factors, the processor catalogue and errors. No I/O."""
