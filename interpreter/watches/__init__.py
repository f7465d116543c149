"""What is looked for in what people say and what is said for them."""
