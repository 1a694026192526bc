"""The transports that clients come over."""
