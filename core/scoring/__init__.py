"""How good an answer is: accuracy, retrieval, intervals, permutations."""
