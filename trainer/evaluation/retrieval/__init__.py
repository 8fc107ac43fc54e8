"""What a report says of retrieval beyond top-k: smaller galleries, people, other runs, geometry, pictures."""
