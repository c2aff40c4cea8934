"""What a call costs beside the bare SDK and other libraries."""
