"""The embedded domain: portraits drawn from named attributes, and its models."""
