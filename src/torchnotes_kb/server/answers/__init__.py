"""What the tools answer: values of the product as structured content and as text."""
