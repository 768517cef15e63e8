"""Reading topics as a bystander."""
