"""Who works with whom: several processes that train as one, and one at a time in a folder."""
