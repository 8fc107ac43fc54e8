"""The commands, and behind them what training and evaluation are made of; hosts never import it."""
