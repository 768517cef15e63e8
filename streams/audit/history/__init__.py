"""An application's factors, now and at any past moment, with their explanation."""
