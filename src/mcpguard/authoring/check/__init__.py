"""What can be wrong with a configuration and its policies. `lints/` looks at policies, one module a group."""
