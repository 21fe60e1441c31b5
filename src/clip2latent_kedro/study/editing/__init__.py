"""The audit of editing: what each way of editing gains, and what it spoils."""
