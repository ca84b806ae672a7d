"""Measures Jupyter kernels side by side; `benches/kernels.py` is its command."""
