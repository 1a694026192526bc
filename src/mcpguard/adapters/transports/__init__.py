"""The client side: each transport takes messages in and lets only `Redacted` values out."""
