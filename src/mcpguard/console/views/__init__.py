"""What is on each page: a function a page, from the request to the template with its values."""
