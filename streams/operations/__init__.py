"""Operations on an installation besides running workers: redrive of dead letters, and erasure."""
