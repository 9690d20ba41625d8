"""Training losses: which anchor answers for which object, and what each wrong answer costs."""
