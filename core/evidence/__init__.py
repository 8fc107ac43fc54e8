"""Evidence that something is decodable: a locked response, a familiar background, answers that go with labels."""
