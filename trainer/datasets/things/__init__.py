"""THINGS: people who look at pictures of 1,854 kinds of things; and Alljoined, which shows some likewise."""
